"""The modules once more, as the papers' released codes string their operations together.

Written anew from each algorithm, one operation after the other as there: what the fast forms of attnlib are measured
against, and give the same output as. Each function takes a module of ours, for its parameters, and a map.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from attnlib.scale_attention.bam import BAM
from attnlib.scale_attention.cbam import CBAM
from attnlib.scale_attention.eca import ECA
from attnlib.scale_attention.ge import GE
from attnlib.scale_attention.iebn import IEBN
from attnlib.scale_attention.nam import NAM
from attnlib.scale_attention.sa import SA
from attnlib.scale_attention.se import SE
from attnlib.scale_attention.sem import SEM
from attnlib.scale_attention.sge import SGE
from attnlib.scale_attention.triplet import Triplet
from attnlib.self_attention.non_local import NonLocal


def nam(module: NAM, x: Tensor) -> Tensor:
    z = module.channel_norm(x)
    scale = module.channel_norm.weight.detach().abs()
    z = torch.mul(scale / scale.sum(), z.permute(0, 2, 3, 1).contiguous())
    return torch.sigmoid(z.permute(0, 3, 1, 2).contiguous()) * x


def sa(module: SA, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    half = c // (2 * module.groups)

    def column(vector: Tensor) -> Tensor:
        return vector.view(1, half, 1, 1)

    first, second = x.reshape(n * module.groups, -1, h, w).chunk(2, 1)
    gate = column(module.channel_weight) * F.adaptive_avg_pool2d(first, 1) + column(module.channel_bias)
    first = first * torch.sigmoid(gate)
    normal = F.group_norm(second, half, module.norm_weight, module.norm_bias)
    second = second * torch.sigmoid(column(module.spatial_weight) * normal + column(module.spatial_bias))
    y = torch.cat([first, second], 1).reshape(n, 2, c // 2, h, w)
    return y.permute(0, 2, 1, 3, 4).reshape(n, c, h, w) if module.shuffle else y.reshape(n, c, h, w)


def sge(module: SGE, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    groups = module.groups
    x = x.view(n * groups, -1, h, w)
    similarity = (x * F.adaptive_avg_pool2d(x, 1)).sum(1, keepdim=True).view(n * groups, -1)
    similarity = similarity - similarity.mean(1, keepdim=True)
    standard = (similarity / (similarity.std(1, keepdim=True) + 1e-5)).view(n, groups, h, w)
    logit = standard * module.weight.view(1, -1, 1, 1) + module.bias.view(1, -1, 1, 1)
    return (x * torch.sigmoid(logit.view(n * groups, 1, h, w))).view(n, c, h, w)


def cbam(module: CBAM, x: Tensor) -> Tensor:
    size, logits = x.shape[2:], None
    for pool in (F.avg_pool2d, F.max_pool2d):
        layers = module.channel_gate
        logit = layers.expand(F.relu(layers.reduce(pool(x, size, stride=size).flatten(1))))
        logits = logit if logits is None else logits + logit
    x = x * torch.sigmoid(logits)[:, :, None, None].expand_as(x)
    return x * _gate(module.spatial_gate, x)


def bam(module: BAM, x: Tensor) -> Tensor:
    side = x.shape[2]
    channel = module.channel_branch(F.avg_pool2d(x, side, stride=side).flatten(1))[:, :, None, None].expand_as(x)
    return (1 + torch.sigmoid(channel * module.spatial_branch(x).expand_as(x))) * x


def triplet(module: Triplet, x: Tensor) -> Tensor:
    branches = module.branches
    turned = x.permute(0, 2, 1, 3).contiguous()
    width = (turned * _gate(branches["channel_width"], turned)).permute(0, 2, 1, 3).contiguous()
    turned = x.permute(0, 3, 2, 1).contiguous()
    height = (turned * _gate(branches["channel_height"], turned)).permute(0, 3, 2, 1).contiguous()
    return 1 / 3 * (x * _gate(branches["spatial"], x) + width + height)


def _gate(layers: torch.nn.Module, x: Tensor) -> Tensor:
    """The k x k gate of CBAM and Triplet: maximum and mean over the first axis, convolution, norm, sigmoid."""
    pooled = torch.cat([torch.max(x, 1)[0].unsqueeze(1), torch.mean(x, 1).unsqueeze(1)], 1)
    return torch.sigmoid(layers.norm(layers.conv(pooled)))


def se(module: SE, x: Tensor) -> Tensor:
    z = module.expand(F.relu(module.reduce(F.adaptive_avg_pool2d(x, 1))))
    return x * torch.sigmoid(z)


def eca(module: ECA, x: Tensor) -> Tensor:
    y = F.adaptive_avg_pool2d(x, 1).squeeze(-1).transpose(-1, -2)
    y = module.conv(y).transpose(-1, -2).unsqueeze(-1)
    return x * torch.sigmoid(y).expand_as(x)


def ge(module: GE, x: Tensor) -> Tensor:
    y = F.interpolate(F.adaptive_avg_pool2d(x, 1), size=x.shape[2:])
    return x * torch.sigmoid(y)


def iebn(module: IEBN, x: Tensor) -> Tensor:
    def column(vector: Tensor) -> Tensor:
        return vector.view(1, -1, 1, 1)

    norm = module.norm
    gate = F.adaptive_avg_pool2d(x, 1) * column(module.gate_scale) + column(module.gate_shift)
    gate = column(norm.weight) * torch.sigmoid(gate)
    normal = F.batch_norm(x, norm.running_mean, norm.running_var, None, None, norm.training, norm.momentum, norm.eps)
    return normal * gate + column(norm.bias)


def sem(module: SEM, x: Tensor) -> Tensor:
    n, c = x.shape[:2]
    m = F.adaptive_avg_pool2d(x, 1).view(n, c)
    weights = torch.sigmoid(module.decide(m))
    gate = None
    for i, operator in enumerate(module.operators.values()):
        excited = torch.sigmoid(weights[:, i].view(n, 1) * operator(m))
        gate = excited if gate is None else gate * excited
    return x * gate.view(n, c, 1, 1)


def non_local(module: NonLocal, x: Tensor) -> Tensor:
    """The embedded form of maps without sub-sampling; scores scaled in place, as the authors' code does."""
    n, _, h, w = x.shape
    g = module.g(x).view(n, -1, h * w).permute(0, 2, 1)
    theta = module.theta(x).view(n, -1, h * w).permute(0, 2, 1)
    scores = torch.matmul(theta, module.phi(x).view(n, -1, h * w)).mul_(module.scale)
    y = torch.matmul(F.softmax(scores, -1), g).permute(0, 2, 1).contiguous().view(n, -1, h, w)
    return module.norm(module.out(y)) + x
