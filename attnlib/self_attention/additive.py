"""Additive attention: Bahdanau, Cho and Bengio, ICLR 2015, arXiv 1409.0473.

The attention of the first translation networks: a small network of one hidden layer compares a query with each key.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from attnlib.base import check_count


class AdditiveAttention(nn.Module):
    """Average the keys by how well they fit the query.

        e_ij = v_a . tanh(W_a s_i + U_a h_j),   alpha_ij = softmax over j of e_ij,   c_i = sum_j alpha_ij h_j

    Args:
        query_channels: length of a query s_i, the decoder's state.
        key_channels: length of a key h_j, the encoder's state at word j; the keys are also what is averaged.
        hidden: width of the hidden layer.

    Shapes: query (N, Q, query_channels), key (N, K, key_channels); the context c is (N, Q, key_channels), the weights
    alpha (N, Q, K).

    Parameters: hidden (query_channels + key_channels + 1).

    Raises:
        ValueError: an argument below 1; query or key of another shape or of different N, or no key at all.
        TypeError: an argument that is not an integer.
    """

    def __init__(self, query_channels: int, key_channels: int, hidden: int) -> None:
        sizes = {"query_channels": query_channels, "key_channels": key_channels, "hidden": hidden}
        for name, value in sizes.items():
            check_count(name, value)
        super().__init__()
        self.query = nn.Linear(query_channels, hidden, bias=False)  # W_a
        self.key = nn.Linear(key_channels, hidden, bias=False)  # U_a
        self.score = nn.Linear(hidden, 1, bias=False)  # v_a

    def forward(
        self, query: Float[Tensor, "N Q query_channels"], key: Float[Tensor, "N K key_channels"]
    ) -> tuple[Float[Tensor, "N Q key_channels"], Float[Tensor, "N Q K"]]:
        """The contexts and the weights."""
        for name, vectors, layer in (("query", query, self.query), ("key", key, self.key)):
            if vectors.dim() != 3 or vectors.shape[2] != layer.in_features:
                raise ValueError(
                    f"{name} must have shape (N, number of vectors, {layer.in_features}), got {tuple(vectors.shape)}"
                )
        if query.shape[0] != key.shape[0]:
            raise ValueError(
                f"query and key must have one N, got {tuple(query.shape)} and {tuple(key.shape)}; one set of keys "
                "for all needs key.expand(N, -1, -1)"
            )
        if key.shape[1] == 0:
            raise ValueError(f"there is no key to attend to, got key of shape {tuple(key.shape)}; give one or more")
        hidden = torch.tanh(self.query(query)[:, :, None] + self.key(key)[:, None])
        weights = torch.softmax(self.score(hidden)[..., 0], -1)
        return weights.to(key.dtype) @ key, weights
