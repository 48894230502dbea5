# ---
# jupyter:
#   attention_book:
#     kind: deeper
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: attention_book
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # SA: when is a shuffle only a change of names?
#
# :::{admonition} For which networks does the shuffle of channels change nothing but names?
# :class: question
#
# **For a ResNet with SA in its branches**, as [the chapter](sa.ipynb) proves. Here a whole ResNet-20 is renamed, and
# the two networks stay one through five steps of training. The same is true with shortcuts padded with zeros, and with
# SA at the ends of stages.
#
# **Not where SA stands behind the addition**, and not where grouped layers read what is shuffled: without the shuffle a
# group of theirs hears one group of the input, with it up to all.
# :::
#
# Definitions are those of the chapter; channels and groups are counted from 0.

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Install attnlib where it is missing"}
# Where attnlib is missing (Colab, a bare kernel), this installs it.
import importlib.util
import os
import subprocess
import sys

if importlib.util.find_spec("attnlib") is None:
    default = "../..[chapters]"
    source = os.environ.get("ATTNLIB_SOURCE", default)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", source]
    subprocess.run(pip, check=True)
    importlib.invalidate_caches()

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Imports"}
from itertools import combinations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from torch import nn

import attnlib
from attnlib import check, finding, plots
from attnlib.networks import attach, create
from attnlib.networks.cifar_resnet import CifarResNet
from attnlib.networks.renaming import reorder_channels
from attnlib.results import records
from attnlib.scale_attention.sa import shuffle_channels
from attnlib.training.steps import sgd_steps

plots.use()

# %% [markdown]
# ## Who meets whom?
#
# The shuffle is there so that groups meet. Do they? For even $G$ the outputs $2i$ and $2i + 1$ come from the same place
# of two groups: group $k$ meets $k + G/2$. New group $k$ holds one kind only, gated by channel for even $k$ and by
# pixel for odd $k$. With an odd $G$ places move by half a group, and a new group holds both kinds.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Two rows of sixteen tiles in four colours, one for each group; in each group two tiles are hatched. Lines lead from the upper row to the lower one, where tiles 0 and 8, 1 and 9, 2 and 10 are neighbours, and hatched tiles stand beside hatched ones."}, "figure": {"caption": "Sixteen channels in four groups, before and behind the shuffle; hatched channels are gated by pixel.", "name": "sa-tiles"}} tags=["hide-input"]
C, G = 16, 4
half = C // (2 * G)
colours = [plots.colour(key) for key in ("se", "nam", "sa", "eca")]
channels = torch.arange(C).view(1, C, 1, 1)
order = shuffle_channels(channels).flatten().tolist()
figure, axis = plt.subplots(figsize=(plots.COLUMN, 2.3))
for level, places in enumerate((range(C), order)):
    for at, c in enumerate(places):
        tile = (at, -3 * level), 0.9, 0.9
        style = {"color": colours[c // (2 * half)], "lw": 0}
        axis.add_patch(plt.Rectangle(*tile, alpha=0.4, **style))
        if (c // half) % 2:
            hatched = style | {"fill": False, "hatch": "////"}
            axis.add_patch(plt.Rectangle(*tile, **hatched))
        axis.text(at + 0.45, 0.42 - 3 * level, c, ha="center", va="center")
        if level:
            line = [c + 0.45, at + 0.45], [-0.05, -2.05]
            axis.plot(*line, color=colours[c // (2 * half)], lw=1.3)
axis.text(0, 1.15, "concatenated: the groups lie side by side")
axis.text(0, -3.7, "shuffled: hatched (gated by pixel) beside hatched")
axis.set(xlim=(-0.1, 16), ylim=(-3.9, 1.7))
axis.set_axis_off()
group = [c // (2 * half) for c in order]
kind = [(c // half) % 2 for c in order]
pairs = [(group[n], group[n + 1]) for n in range(0, C, 2)]
finding(
    "group 0 meets group 2, and 1 meets 3", set(pairs) == {(0, 2), (1, 3)}
)
finding(
    "one kind only",
    all(len(set(kind[n : n + 4])) == 1 for n in range(0, C, 4)),
)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Channels 0 and 8 become neighbours, then 1 and 9: group 0 meets group 2, and 1 meets 3. The two *kinds* do not meet.
# Before the shuffle each run of four channels held both; behind it each run holds one kind only. The shuffle mixes
# groups and sorts kinds.
# :::


# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Count who meets whom"}
def source(channels, groups, shuffle):
    """Old group of each output channel, and whether it was gated by pixel."""
    channel = torch.arange(channels).view(1, channels, 1, 1)
    old = (shuffle_channels(channel) if shuffle else channel).flatten()
    half = channels // (2 * groups)
    return old // (2 * half), (old // half) % 2


rows = []
for C, G in ((256, 64), (2048, 64), (16, 4), (24, 3)):
    for shuffle in (False, True):
        group, kind = (v.view(G, -1) for v in source(C, G, shuffle))
        met = max(len(set(old)) for old in group.tolist())
        mixed = sum(len(set(kinds)) == 2 for kinds in kind.tolist())
        rows.append([f"{C}, {G}", "yes" if shuffle else "no", met, mixed])
columns = [
    "C, G",
    "shuffle",
    "old groups in a new one",
    "new of both kinds",
]
met = pd.DataFrame(rows, columns=columns)
finding("With it none has", set(met.iloc[[1, 3, 5], 3]) == {0})
finding("all 3 have", met.iloc[7, 3])
plots.table(met, "The groups of neighbouring channels in SA's output")

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# So it is at the widths of ResNet-50, too. Without the shuffle every new group has both kinds. With it none has, where
# $G$ is even; where $G$ is 3, all 3 have.
# :::
#
# ## Can a whole ResNet be renamed?
#
# {prf:ref}`sa-theorem` says which weights to reorder. `rows` names the layers that write a shortcut's start, `columns`
# those that read it; each gets the order of its stage.


# %%
def sent(width):
    """Where the shuffle sends each channel."""
    channels = torch.arange(width).view(1, -1, 1, 1)
    return shuffle_channels(channels).flatten().argsort()


# %% tags=["hide-input"] mystnb={"code_prompt_show": "Who writes and reads each shortcut"}
rows = {
    "conv1|bn1": sent(16),
    "layer2.0.downsample..": sent(32),
    "layer3.0.downsample..": sent(64),
}
columns = {
    "layer1...conv1|layer2.0.(conv1|downsample.0)": sent(16),
    "layer2.[12].conv1|layer3.0.(conv1|downsample.0)": sent(32),
    "layer3.[12].conv1|fc": sent(64),
}


def drawn(network):
    """The network with random vectors and norms throughout."""
    for parameter in network.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, 1, 0.3)
    return network


# %% tags=["nbval-check-output"]
torch.manual_seed(0)
shuffled = drawn(create("resnet20", 10, "sa").double())
twin = create("resnet20", 10, "sa", {"shuffle": False}).double()
pictures = torch.randn(5, 8, 3, 16, 16, dtype=torch.float64)
classes = torch.randint(10, (5, 8))

state = shuffled.state_dict()
twin.load_state_dict(state)
apart = (shuffled(pictures[0]) - twin(pictures[0])).abs().max()
twin.load_state_dict(reorder_channels(state, rows, columns))
check("outputs", shuffled(pictures[0]), twin(pictures[0]), atol=1e-9)
states = [sgd_steps(n, pictures, classes) for n in (shuffled, twin)]
first = reorder_channels(states[0], rows, columns)
check("after training", first, dict(states[1]), atol=1e-8)
finding("not renamed, its outputs differ", apart > 0.1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Renamed, the twin without shuffles gives the same outputs, and after five steps of training all its weights are still
# those of the first network, renamed. With the same weights, not renamed, its outputs differ: the check can fail.
# :::
#
# ## How often does chance make such a gap?
#
# So the sixteen recorded runs of the chapter, eight with the shuffle and eight without, are runs of one network. They
# can be dealt out anew, into every two sets of three. (This parts the pairs of one seed, whose images come in the same
# order.) How often are two means as far apart as those of the first three seeds, 1.64 points?

# %%
kinds = "sa", "sa(shuffle=False)"
both = [records("cifar10-slice", kind) for kind in kinds]
runs = np.array([[run.final.accuracy for run in each] for each in both])
sets = list(combinations(range(runs.size), 3))
means = 100 * runs.ravel()[np.array(sets)].mean(1)
bits = np.array([sum(1 << run for run in each) for each in sets])
gaps = np.abs(means[:, None] - means)[(bits[:, None] & bits) == 0]
seen = 100 * abs(runs[0, :3].mean() - runs[1, :3].mean())
finding("1.64 points or more", seen)
finding("In 20.4 % of all ways", 100 * (gaps >= seen - 1e-9).mean())

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In 20.4 % of all ways the two means are 1.64 points or more apart: a gap like that of the first three seeds is nothing
# rare.
# :::
#
# ## Where does the theorem end?
#
# {prf:ref}`sa-theorem` asks for a dense start of each shortcut, for SA in the branch, and for dense readers. What if
# one of these is missing? All that decides how a channel is gated is its *label*: its half, and its index there, since
# groups share their vectors. So two networks are equal but for names as soon as the shortcuts can be renamed such that
# **every channel of a shortcut meets the same labels in the same blocks**. In the branch, channels may change places as
# long as their labels stay. This is weaker than what the theorem asks, and it can be counted.
#
# ### Shortcuts padded with zeros
#
# So they are in the first CIFAR ResNets. A stage's first 16 channels are those of the stage before: they cannot be
# renamed for each stage alone, so that the renaming of the theorem fails. Is there another? A channel of the shortcut
# meets a label in each stage; count how many channels meet which:


# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Count the labels that each channel meets"}
def label(width, shuffle):
    """Of each channel of a shortcut: the label of what is added to it."""
    m = width // (2 * attnlib.info("sa").groups_for(width))
    labels = (torch.arange(width) % (2 * m)).view(1, -1, 1, 1)
    return (shuffle_channels(labels) if shuffle else labels).flatten()


def met_labels(shuffle):
    """For each old width: the labels met in the stages from there on."""
    by_stage = {
        width: label(width, shuffle).tolist() for width in (16, 32, 64)
    }
    met = {}
    for start, stop in ((0, 16), (16, 32), (32, 64)):
        stages = [
            labels for width, labels in by_stage.items() if width >= stop
        ]
        met[start] = sorted(
            zip(*(labels[start:stop] for labels in stages), strict=True)
        )
    return met


check("labels met, padded shortcuts", met_labels(True), met_labels(False))

# %% [markdown]
# They are the same, so there must be a renaming. It permutes the shortcut by channels of equal labels, and the last
# layer of each branch accordingly, within a label:


# %% tags=["hide-input"] mystnb={"code_prompt_show": "Rename by equal labels"}
def by_label():
    """Channel c of the plain shortcut is channel sigma[c] of the shuffled."""
    sigma = []
    for start, stop in ((0, 16), (16, 32), (32, 64)):
        widths = [width for width in (16, 32, 64) if width >= stop]
        met = []
        for shuffle in (True, False):
            labels = [label(width, shuffle).tolist() for width in widths]
            cut = [each[start:stop] for each in labels]
            met.append(list(zip(*cut, strict=True)))
        free = {}
        for c, labels in enumerate(met[0], start):
            free.setdefault(labels, []).append(c)
        sigma += [free[labels].pop(0) for labels in met[1]]
    return torch.tensor(sigma)


def padded(shuffle):
    network = CifarResNet(20, 10, shortcut="A")
    attach(network, "sa", shuffle=shuffle)
    return network.double()


sigma = by_label()
rows, columns = {"conv1|bn1": sigma[:16]}, {}
readers = (
    "layer1...conv1|layer2.0.conv1",
    "layer2.[12].conv1|layer3.0.conv1",
    "layer3.[12].conv1|fc",
)
for stage, width in enumerate((16, 32, 64), start=1):
    own = sigma[:width]
    columns[readers[stage - 1]] = own
    branch = sent(width).argsort()[own]
    rows[f"layer{stage}...(conv2|bn2.layer)"] = branch

# %% tags=["nbval-check-output"]
shuffled, plain = drawn(padded(True)), padded(False)
plain.load_state_dict(
    reorder_channels(shuffled.state_dict(), rows, columns)
)
x = pictures[0]
check("padded, by labels", shuffled(x), plain(x), atol=1e-9)

# %% [markdown]
# ### SA at the ends of stages
#
# There it works on the shortcut itself, but only once a stage, and what follows is a dense layer: the convolution and
# the projection of the next stage. They take the whole permutation into their columns.


# %% tags=["nbval-check-output"]
def at_ends(shuffle):
    """SA behind the first and the second stage."""
    network = create("resnet20", 10)
    attach(network, "sa", placement="stage-end", shuffle=shuffle)
    return network.double()


shuffled, plain = drawn(at_ends(True)), at_ends(False)
columns = {
    "layer2.0.(conv1|downsample.0)": sent(16),
    "layer3.0.(conv1|downsample.0)": sent(32),
}
plain.load_state_dict(reorder_channels(shuffled.state_dict(), {}, columns))
check("stage ends", shuffled(x), plain(x), atol=1e-9)

# %% [markdown]
# ### SA behind the addition, in every block
#
# Now the shortcut itself goes through all shuffles of its stage. A channel
# that was gated by channel in one block can stand among those gated by pixel in the next. Without shuffles it meets the
# same kind in all blocks. No renaming changes such a count:


# %% tags=["nbval-check-output"]
def kinds_met(width, blocks, shuffle):
    """How many channels of the shortcut meet one kind in all blocks."""
    half = width // (2 * attnlib.info("sa").groups_for(width))
    place = torch.arange(width).view(1, -1, 1, 1)  # who stands where
    met = torch.zeros(width, dtype=torch.long)
    for _ in range(blocks):
        by_pixel = (torch.arange(width) // half) % 2
        met[place.flatten()] += by_pixel
        place = shuffle_channels(place) if shuffle else place
    return int(((met == 0) | (met == blocks)).sum())


kept = pd.DataFrame({"channels": [16, 32, 64]})
for name, shuffle in (("without", False), ("with shuffles", True)):
    kept[name] = [kinds_met(C, 3, shuffle) for C in kept["channels"]]
finding("16, 32 and 64 channels", *kept["without"])
finding("4, 8 and 16", *kept["with shuffles"])
plots.table(kept, "Channels that meet one kind in all of three blocks")

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With padded shortcuts, and with SA at the ends of stages, there is a renaming: the shuffle is a change of names there
# too. With SA behind the addition there is none: in three blocks, 16, 32 and 64 channels, which are all, meet one kind
# of gate without shuffles, with them only 4, 8 and 16.
# :::
#
# In the last case no *renaming* makes the networks equal. Whether they train to other accuracies, no record of this
# book says.
#
# ## Where is the shuffle needed?
#
# A *grouped* layer reads its own channels only, whatever their names. Here grouped layers and SA alternate, and the
# gradient says which groups of the input a group of the output depends on.


# %% tags=["nbval-check-output"]
def groups_heard(shuffles, shuffle, C=64, G=8):
    """Groups of the input that group 0 of a last grouped layer hears."""
    network = nn.Sequential(nn.Conv2d(C, C, 1, groups=G))
    for _ in range(shuffles):
        network.append(attnlib.create("sa", C, groups=G, shuffle=shuffle))
        network.append(nn.Conv2d(C, C, 1, groups=G))
    x = torch.randn(1, C, 5, 5, requires_grad=True)
    network(x)[:, : C // G].sum().backward()
    heard = x.grad.abs().sum((0, 2, 3)).view(G, -1).sum(1)
    return int((heard > 0).sum())


heard = pd.DataFrame({"shuffles": range(4)})
for name, shuffle in (("with", True), ("without", False)):
    heard[name] = [groups_heard(n, shuffle) for n in range(4)]
finding("1, 2, 4 and 8 groups", *heard["with"])
finding("always one", set(heard["without"]) == {1})
plots.table(heard, "Groups of the input that one group hears")

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# After 0, 1, 2 and 3 shuffles, a group hears 1, 2, 4 and 8 groups of the input. Without the shuffle it is always one:
# no training can make these networks equal. There the shuffle is needed.
# :::
