"""Parameters of timm's and torchvision's attention modules in ours, wherever both compute the same.

Neither package is imported: a peer is known by the name of its class and read through its state dict.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from attnlib.scale_attention.cbam import CBAM
from attnlib.scale_attention.eca import ECA
from attnlib.scale_attention.ge import GE
from attnlib.scale_attention.se import ACTIVATIONS, SE
from attnlib.self_attention.non_local import NonLocal

State = dict[str, Tensor]


@torch.no_grad()
def load_peer(module: nn.Module, peer: nn.Module) -> None:
    """Copy the parameters and running statistics of a timm or torchvision module: `module` then gives its output.

        torchvision   SqueezeExcitation into SE
        timm          SEModule into SE, EcaModule into ECA, CbamModule into CBAM(bias=False), NonLocalAttn into
                      NonLocal; GatherExcite into GE, with its MLP and global extent into SE

    `module` keeps its own device, type and momentum of running statistics.

    Raises:
        TypeError: a peer that is none of these, or whose form `module` does not have; the message says what differs.
        ValueError: arguments of `module` that do not fit, such as another width; the message says which would.
    """
    name = f"{type(peer).__module__}.{type(peer).__qualname__}"
    if name in OTHER_FORMS:
        raise TypeError(f"{name} {OTHER_FORMS[name]}: no module here has this form")
    if name not in LOADERS:
        raise TypeError(f"no module here is known to have the form of {name}; known: {', '.join(LOADERS)}")
    module.load_state_dict(LOADERS[name](module, peer))


def _need(module: nn.Module, wanted: type[nn.Module], peer: nn.Module) -> None:
    if type(module) is not wanted:
        raise TypeError(f"this {type(peer).__name__} loads into {wanted.__name__}, got {type(module).__name__}")


def _refuse(peer: nn.Module, **parts: bool) -> None:
    """Refuse a peer with a part that no module of ours has: the first of `parts` that is there."""
    for part, present in parts.items():
        if present:
            raise TypeError(f"this {type(peer).__name__} has {part.replace('_', ' ')}: no module here has this form")


def _agree(module: nn.Module, **arguments: tuple[object, object]) -> None:
    """Refuse a module with an argument, (ours, the peer's), that differs."""
    for argument, (ours, theirs) in arguments.items():
        if ours != theirs:
            raise ValueError(
                f"{type(module).__name__} has {argument}={ours!r} where the peer has {theirs!r}; "
                f"build it with {argument}={theirs!r}"
            )


def _hidden_units(module: nn.Module, ours: int, theirs: int) -> None:
    """Refuse a bottleneck of another width than the peer's, with the reduction that gives it."""
    if ours != theirs:
        reduction = max(1, module.channels // theirs)
        fix = f"build it with reduction={reduction}"
        if module.channels // reduction != theirs:
            fix = f"no reduction of {module.channels} channels leaves {theirs}"
        raise ValueError(f"{type(module).__name__} has {ours} hidden units where the peer has {theirs}; {fix}")


def _same_eps(module: nn.Module, ours: nn.Module, theirs: nn.Module) -> None:
    """Refuse a batch norm that adds another eps to its variance than the peer's."""
    if ours.eps != theirs.eps:
        raise ValueError(
            f"a batch norm of {type(module).__name__} has eps={ours.eps} where the peer's has {theirs.eps}; set "
            f"eps = {theirs.eps} on each of its batch norms first"
        )


def _kind(layer: nn.Module) -> str:
    return type(layer).__name__.lower()


def _under(prefix: str, layer: nn.Module, like: nn.Module) -> State:
    """The state of a layer under our name for it; a 1 x 1 convolution as a matrix where ours is one."""
    return {
        f"{prefix}.{name}": tensor.view_as(like.get_parameter(name)) if name == "weight" else tensor
        for name, tensor in layer.state_dict().items()
    }


def _se(
    module: nn.Module, peer: nn.Module, first: nn.Conv2d, last: nn.Conv2d, act: nn.Module, gate: nn.Module
) -> State:
    _need(module, SE, peer)
    _refuse(
        peer,
        another_activation_than_ReLU=_kind(act) != "relu",
        another_gate_than_sigmoid_or_tanh_or_relu=_kind(gate) not in ACTIVATIONS,
    )
    _agree(
        module,
        channels=(module.channels, first.in_channels),
        squeeze=(module.squeeze, "avg"),
        activation=(module.activation, _kind(gate)),
        bias=(module.reduce.bias is not None, first.bias is not None),
    )
    _hidden_units(module, module.reduce.out_channels, first.out_channels)
    return _under("reduce", first, module.reduce) | _under("expand", last, module.expand)


def _torchvision_se(module: nn.Module, peer: nn.Module) -> State:
    return _se(module, peer, peer.fc1, peer.fc2, peer.activation, peer.scale_activation)


def _timm_se(module: nn.Module, peer: nn.Module) -> State:
    _refuse(peer, a_norm=_kind(peer.bn) != "identity", a_maximum_beside_the_mean=peer.add_maxpool)
    return _se(module, peer, peer.fc1, peer.fc2, peer.act, peer.gate)


def _timm_eca(module: nn.Module, peer: nn.Module) -> State:
    _need(module, ECA, peer)
    _refuse(peer, a_second_layer=peer.conv2 is not None, another_gate_than_sigmoid=_kind(peer.gate) != "sigmoid")
    _agree(module, shared=(module.shared, True), kernel_size=(module.conv.kernel_size[0], peer.conv.kernel_size[0]))
    return _under("conv", peer.conv, module.conv)


def _timm_cbam(module: nn.Module, peer: nn.Module) -> State:
    _need(module, CBAM, peer)
    channel, conv, norm = peer.channel, peer.spatial.conv.conv, peer.spatial.conv.bn
    _refuse(
        peer,
        another_activation_than_ReLU=_kind(channel.act) != "relu",
        another_gate_than_sigmoid={_kind(channel.gate), _kind(peer.spatial.gate)} != {"sigmoid"},
    )
    if module.channel_gate is None or module.spatial_gate is None:
        raise ValueError("the peer has two gates; build CBAM with channel=True and spatial=True")
    ours, spatial = module.channel_gate, module.spatial_gate
    _agree(
        module,
        channels=(module.channels, channel.fc1.in_channels),
        order=(module.order, "channel-first"),
        descriptor=("max-avg" if spatial.descriptor is None else "conv", "max-avg"),
        norm=(spatial.norm is not None, True),
        kernel_size=(spatial.conv.kernel_size[0], conv.kernel_size[0]),
        bias=(ours.reduce.bias is not None, channel.fc1.bias is not None),
    )
    _agree(module, channel_pools=(tuple(sorted(ours.pools)), ("avg", "max")))  # their order does not matter
    _hidden_units(module, ours.reduce.out_features, channel.fc1.out_channels)
    _same_eps(module, spatial.norm, norm)
    return (
        _under("channel_gate.reduce", channel.fc1, ours.reduce)
        | _under("channel_gate.expand", channel.fc2, ours.expand)
        | {"spatial_gate.conv.weight": conv.weight.flip(1)}  # theirs sees (mean, max), ours (max, mean)
        | _under("spatial_gate.norm", norm, spatial.norm)
    )


def _timm_ge(module: nn.Module, peer: nn.Module) -> State:
    _refuse(peer, a_maximum_beside_the_mean=peer.add_maxpool)
    learned, mlp = peer.gather is not None, _kind(peer.mlp) != "identity"
    if mlp and not learned and peer.extent == 0:
        return _se(module, peer, peer.mlp.fc1, peer.mlp.fc2, peer.mlp.act, peer.gate)
    _need(module, GE, peer)
    _refuse(
        peer,
        an_MLP_on_local_means=mlp and not learned,
        an_MLP_without_a_ReLU_before_it=mlp and learned,
        a_padded_kernel_as_large_as_the_map=learned and peer.extent == 0,
        another_gate_than_sigmoid=_kind(peer.gate) != "sigmoid",
    )
    _agree(module, extent=(module.extent, peer.extent), variant=(module.variant, "theta" if learned else "theta-"))
    if not learned:
        return {}
    _agree(module, channels=(module.channels, peer.gather.conv1.in_channels))
    kinds = [_kind(layer) for layer in peer.gather]
    _refuse(
        peer,
        no_batch_norm_behind_each_convolution=kinds.count("batchnorm2d") < kinds.count("conv2d"),
        another_activation_than_ReLU_between_its_convolutions=not set(kinds) <= {"conv2d", "batchnorm2d", "relu"},
    )
    state = {}
    for position, (theirs, ours) in enumerate(zip(peer.gather, module.gather, strict=True)):
        if isinstance(ours, nn.BatchNorm2d):
            _same_eps(module, ours, theirs)
        state |= _under(f"gather.{position}", theirs, ours)
    return state


def _timm_non_local(module: nn.Module, peer: nn.Module) -> State:
    _need(module, NonLocal, peer)
    _agree(
        module,
        channels=(module.channels, peer.t.in_channels),
        pairwise=(module.pairwise, "embedded"),
        subsample=(module.subsample, False),
        dimensions=(module.dimensions, 2),
        norm=(module.norm is not None, True),
    )
    _hidden_units(module, module.g.out_channels, peer.g.out_channels)
    _same_eps(module, module.norm, peer.norm)
    state = _under("phi", peer.p, module.phi) | _under("g", peer.g, module.g) | _under("out", peer.z, module.out)
    # The peer scales its scores by its full width, we by the embedding's or not at all: the queries take the ratio in.
    theta = {f"theta.{name}": tensor * (peer.scale / module.scale) for name, tensor in peer.t.state_dict().items()}
    return state | theta | _under("norm", peer.norm, module.norm)


LOADERS: dict[str, Callable[[nn.Module, nn.Module], State]] = {
    "torchvision.ops.misc.SqueezeExcitation": _torchvision_se,
    "timm.layers.squeeze_excite.SEModule": _timm_se,
    "timm.layers.eca.EcaModule": _timm_eca,
    "timm.layers.cbam.CbamModule": _timm_cbam,
    "timm.layers.gather_excite.GatherExcite": _timm_ge,
    "timm.layers.non_local_attn.NonLocalAttn": _timm_non_local,
}

OTHER_FORMS = {
    "timm.layers.squeeze_excite.EffectiveSEModule": "gates by one layer and a hard sigmoid",
    "timm.layers.squeeze_excite.SqueezeExciteCl": "takes maps as (N, H, W, C)",
    "timm.layers.eca.CecaModule": "closes the channels to a ring, where ECA has zeros beyond both ends",
    "timm.layers.cbam.LightCbamModule": "adds mean and maximum before its layers",
    "timm.layers.non_local_attn.BatNonLocalAttn": "transforms rows and columns by predicted matrices",
}
