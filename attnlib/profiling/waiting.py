"""How many operations wait for each other: what no number of processors makes shorter."""

from torch import Tensor


def longest_chain(output: Tensor) -> int:
    """The longest chain in the graph that autograd keeps of a result.

    Every node is one operation as PyTorch records it, its parameters' nodes included; the number itself depends on how
    a layer is written, how it grows with the input does not.

    Args:
        output: of a computation on parameters that require gradients.

    Raises:
        ValueError: `output` has no graph.
    """
    if output.grad_fn is None:
        raise ValueError("output has no graph; compute it with gradients enabled, from parameters that require them")
    length, todo = {}, [output.grad_fn]
    while todo:
        before = [node for node, _ in todo[-1].next_functions if node is not None]
        unknown = [node for node in before if node not in length]
        if unknown:
            todo += unknown
        else:
            node = todo.pop()
            length[node] = 1 + max((length[each] for each in before), default=0)
    return length[output.grad_fn]
