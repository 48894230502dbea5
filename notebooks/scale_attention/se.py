# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Squeeze-and-Excitation (SE)
#
# **Paper.** Squeeze-and-Excitation Networks {cite}`se`. **Module.** `attnlib.create("se", channels)`.
#
# :::{admonition} What you will be able to do
# :class: tip
# * derive the gate, its gradient and its number of parameters from the three equations of the paper;
# * write the module in ten lines, and prove that they are right;
# * say what SE costs in ResNet-50, in parameters and in multiply-adds, and which published figure means what;
# * look at the gates of a trained network, class by class and layer by layer;
# * tell which of the paper's claims hold, and where the paper and the released models differ.
# :::
#
# Symbols are those of the [notation page](../../book/notation.md).

# %% tags=["hide-input"]
import math

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
import torch
from torch import nn

import attnlib
from attnlib import plots
from attnlib.data import load
from attnlib.networks import attention_modules, create
from attnlib.profiling import profile
from attnlib.results import records, store
from attnlib.training import Recipe, chapter_recipe, lane, linear_accuracy, train

plots.use()
paper = attnlib.paper("se")

# %% [markdown]
# ## The idea
#
# A convolution adds its input channels with weights that are the same for every image. Some channels matter for this
# image and some do not, but the sum cannot know: it sees a small window, and what an image is about shows only in the
# whole of it. Squeeze-and-Excitation lets the whole image speak. It **squeezes** each channel to one number, its mean
# over the map; it lets a small network look at all these numbers together and answer with one number between 0 and 1
# for each channel, the **excitation**; and it **scales** each channel by its answer.
#
# Nothing is added and nothing moves: the output is the input with every channel turned down by some factor. That makes
# the block easy to put anywhere, and it makes it easy to look at: the gates are C numbers per image. The picture below
# shows all three steps for one image and eight channels, with weights drawn at random.

# %% mystnb={"image": {"alt": "Four columns for one image. Eight grey maps; a bar for the mean of each; a bar between 0 and 1 for the gate of each; the eight maps again, those with a short bar fainter."}} tags=["hide-input"]
shapes = load("shapes", "test")
picture = torch.tensor(shapes.images[7:8]).permute(0, 3, 1, 2) / 255

torch.manual_seed(3)
features = nn.Conv2d(3, 8, 5, padding=2, padding_mode="reflect")(picture).detach()
strengths = torch.linspace(0.2, 1.2, 8)[torch.randperm(8), None, None]
x = torch.relu(strengths * nn.functional.instance_norm(features))
block = attnlib.create("se", 8, reduction=2)
for layer in (block.reduce, block.expand):
    nn.init.normal_(layer.weight, std=0.8)
z = x.mean((2, 3))[0]
gate = block.gate(x).detach()[0, :, 0, 0]

figure = plt.figure(figsize=(9, 4.2))
left, squeeze, excite, right = figure.subfigures(
    1, 4, width_ratios=(1.1, 0.8, 0.8, 1.1)
)
for side, maps, title in (
    (left, x[0], "map $x$"),
    (right, gate[:, None, None] * x[0], "output $g_c\\,x_c$"),
):
    side.suptitle(title)
    for axis, one in zip(side.subplots(4, 2).flat, maps, strict=True):
        axis.imshow(one, cmap="gray", vmin=0, vmax=1.5)
        axis.set_axis_off()
for side, values, title in (
    (squeeze, z, "squeeze: mean $z_c$"),
    (excite, gate, "excitation: gate $g_c$"),
):
    axis = side.subplots()
    axis.barh(range(1, 9), values, color=plots.colour("se"))
    axis.invert_yaxis()
    axis.set(title=title, ylabel="channel $c$", yticks=range(1, 9))
excite.axes[0].set_xlim(0, 1)
plt.show()

# %% [markdown]
# **What to see.** The means on the left say how strong each channel is; the gates do not follow them one by one, since
# each gate depends on all means. A channel with a short gate comes out fainter, and no pixel has moved.
#
# ## From the equations
#
# Let $x$ be the map that a transformation puts out, with $C$ channels of $H \times W$ pixels (the paper writes $u$ for it,
# $s$ for the gate and $\tilde{x}$ for the output); $i$ and $j$ are row and column, as in the paper. The squeeze is the
# mean of each channel,
#
# $$z_c = \frac{1}{HW} \sum_{i=1}^{H} \sum_{j=1}^{W} x_c(i, j),$$ (se-squeeze)
#
# the excitation is a network with one hidden layer of $C / r$ units, $r$ the *reduction*,
#
# $$g = \sigma(s), \qquad s = W_2\,\delta(W_1 z + b_1) + b_2,$$ (se-excitation)
#
# with $W_1 \in \mathbb{R}^{C/r \times C}$, $W_2 \in \mathbb{R}^{C \times C/r}$, $\delta$ the ReLU and $\sigma$ the
# logistic sigmoid, and the output is the map, scaled:
#
# $$y_c(i, j) = g_c\, x_c(i, j).$$ (se-scale)
#
# The paper's equation has no biases; the released models have them, so they are written here and are an argument in
# the code. Why two thin layers and not one square one? The bottleneck has $2C^2/r$ weights instead of $C^2$, and with
# the ReLU in between, a logit is no longer tied to one weighted sum of the means.
#
# **Parameters.** Two matrices, and one bias for each unit where there are biases:
#
# $$P = 2\,C \left\lfloor \tfrac{C}{r} \right\rfloor \;\bigl[\, + C + \left\lfloor \tfrac{C}{r} \right\rfloor \bigr].$$ (se-parameters)
#
# Without biases, and summed over a network with $N_s$ blocks of width $C_s$ in stage $s$, all multiples of $r$, this is
# the paper's $\frac{2}{r}\sum_s N_s C_s^2$: in ResNet-50 the widest stage pays most of the bill.
#
# **Gradient.** Let $\bar y = \partial L / \partial y$ be what comes back from above. The map takes part in the
# output twice: directly, and through the means that all gates see. By {eq}`se-scale`,
# $\partial L / \partial g_k = \sum_{ij} \bar y_k(i,j)\,x_k(i,j)$, hence
#
# $$\frac{\partial L}{\partial x_c(i,j)} = g_c\, \bar y_c(i,j) + \frac{1}{HW} \sum_{k=1}^{C}
# \frac{\partial g_k}{\partial z_c} \sum_{i'j'} \bar y_k(i',j')\, x_k(i',j'),$$ (se-gradient)
#
# where, with $h = W_1 z + b_1$ and $[\cdot]$ one where its condition holds and zero elsewhere,
#
# $$\frac{\partial g_k}{\partial z_c} = g_k (1 - g_k) \sum_{m} (W_2)_{km}\, [h_m > 0]\, (W_1)_{mc}.$$ (se-jacobian)
#
# The second term of {eq}`se-gradient` does not depend on $(i, j)$: every pixel of a channel receives the same push, from
# however far away. It is the trace of what happens forwards: through the gates, each pixel acts on the whole output.
#
# ## The module from scratch
#
# Each line has its equation above it.


# %%
class SqueezeExcitation(nn.Module):
    def __init__(self, channels: int, reduction: int = 16):
        super().__init__()
        self.layer_1 = nn.Linear(channels, channels // reduction)  # W_1, b_1
        self.layer_2 = nn.Linear(channels // reduction, channels)  # W_2, b_2

    def forward(self, x):
        # z_c = 1 / (H W) sum_ij x_c(i, j)
        z = x.mean((2, 3))
        # s = W_2 relu(W_1 z + b_1) + b_2
        s = self.layer_2(torch.relu(self.layer_1(z)))
        # g = sigmoid(s)
        gate = torch.sigmoid(s)
        # y_c(i, j) = g_c x_c(i, j)
        return gate[:, :, None, None] * x


# %% [markdown]
# ## Shapes, and four checks
#
# A map of 32 channels, 9 by 7 pixels so that no axis can stand in for another, on its way through the block:

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(2, 32, 9, 7, dtype=torch.float64)
scratch = SqueezeExcitation(32, reduction=8).double()

z = x.mean((2, 3))
hidden = torch.relu(scratch.layer_1(z))
s = scratch.layer_2(hidden)
for name, value in (
    ("map x", x),
    ("squeezed z", z),
    ("hidden", hidden),
    ("logits s", s),
    ("output y", scratch(x)),
):
    print(f"{name:<11}{tuple(value.shape)}")

# %% [markdown]
# **Check 1: equations {eq}`se-squeeze` to {eq}`se-scale`, in loops.** The same computation in scalar arithmetic, one sum
# at a time, knows nothing of tensors: if it agrees with the module from scratch and with `attnlib`'s, in double
# precision, all three compute the equations.


# %% tags=["nbval-check-output"]
def loops(image, w_1, b_1, w_2, b_2):
    """One image as nested lists [C][H][W]; weights as nested lists."""
    z = []
    for channel in image:
        total = 0.0
        for row in channel:
            for value in row:
                total += value
        z.append(total / (len(channel) * len(channel[0])))
    hidden = []
    for weights, bias in zip(w_1, b_1, strict=True):
        total = bias
        for weight, value in zip(weights, z, strict=True):
            total += weight * value
        hidden.append(max(total, 0.0))
    output = []
    for channel, weights, bias in zip(image, w_2, b_2, strict=True):
        total = bias
        for weight, value in zip(weights, hidden, strict=True):
            total += weight * value
        gate = 1 / (1 + math.exp(-total))
        output.append([[gate * value for value in row] for row in channel])
    return output


library = attnlib.create("se", 32, reduction=8).double()
with torch.no_grad():
    for layer, ours in (
        (scratch.layer_1, library.reduce),
        (scratch.layer_2, library.expand),
    ):
        ours.weight.copy_(layer.weight[:, :, None, None])
        ours.bias.copy_(layer.bias)

weights = [p.tolist() for p in scratch.parameters()]
by_loops = torch.tensor(
    [loops(image.tolist(), *weights) for image in x], dtype=torch.float64
)
print(
    "scratch = loops to 1e-12:",
    torch.allclose(scratch(x), by_loops, rtol=0, atol=1e-12),
)
print(
    "attnlib = loops to 1e-12:",
    torch.allclose(library(x), by_loops, rtol=0, atol=1e-12),
)

# %% [markdown]
# **Check 2: the gradient {eq}`se-gradient` with its Jacobian {eq}`se-jacobian`**, written out, against automatic
# differentiation.

# %% tags=["nbval-check-output"]
upstream = torch.randn_like(x)  # dL / dy
x.requires_grad_(True)
(automatic,) = torch.autograd.grad((upstream * library(x)).sum(), x)

with torch.no_grad():
    w_1, w_2 = scratch.layer_1.weight, scratch.layer_2.weight
    h = scratch.layer_1(x.mean((2, 3)))
    gate = library.gate(x)[:, :, 0, 0]
    # dg_k / dz_c = g_k (1 - g_k) sum_m W_2[k, m] [h_m > 0] W_1[m, c]
    jacobian = torch.einsum(
        "nk,km,nm,mc->nkc", gate * (1 - gate), w_2, (h > 0).double(), w_1
    )
    # the same push for every pixel: 1 / (H W) sum_k dg_k / dz_c sum_ij (dL / dy_k)(i, j) x_k(i, j)
    push = torch.einsum("nkc,nk->nc", jacobian, (upstream * x).sum((2, 3))) / (
        x.shape[2] * x.shape[3]
    )
    by_hand = gate[:, :, None, None] * upstream + push[:, :, None, None]
print(
    "gradient by hand = automatic to 1e-12:",
    torch.allclose(by_hand, automatic, rtol=0, atol=1e-12),
)

# %% [markdown]
# **Check 3: the parameters {eq}`se-parameters`**, for the four widths of ResNet-50 and for a width that 16 does not
# divide, with and without biases.


# %% tags=["nbval-check-output"]
def formula(channels, reduction, bias):
    hidden = channels // reduction
    return 2 * channels * hidden + (channels + hidden if bias else 0)


def counted(channels, reduction, bias):
    return sum(
        p.numel()
        for p in attnlib.create(
            "se", channels, reduction=reduction, bias=bias
        ).parameters()
    )


for channels in (256, 512, 1024, 2048, 100):
    print(
        f"C = {channels:>4}:",
        *(f"{formula(channels, 16, bias):>9,}" for bias in (True, False)),
        end="   ",
    )
    print(
        "formula = count:",
        all(
            formula(channels, 16, bias) == counted(channels, 16, bias)
            for bias in (True, False)
        ),
    )

# %% [markdown]
# **Check 4: what the block cannot do.** With one gate per channel, the ratio of output to input is the same at every
# pixel; nothing tells one place from another.

# %% tags=["nbval-check-output"]
ratio = (library(x) / x).detach()
print(
    "one ratio per channel:",
    torch.allclose(ratio, ratio[:, :, :1, :1], rtol=0, atol=1e-12),
)

# %% [markdown]
# ## What it costs
#
# The paper attaches one block to every residual branch of ResNet-50, 16 in all, before the shortcut is added. Its
# figures beside ours; a *MAC* is one multiply-add, which the paper calls a FLOP. "Agrees" asks for the printed digits:

# %% tags=["nbval-check-output"]
compared = paper.costs()
in_paper = compared["table"].str.startswith("Table")
plots.costs(
    compared[in_paper], "Costs printed in the SE paper, and the same figures recomputed"
)

# %% [markdown]
# The same for two collections of re-implementations on CIFAR. One prints exact parameter counts and builds the paper's
# block; the other prints a tenth of a million, and its SE networks are larger than that block makes them.

# %% tags=["nbval-check-output", "hide-output"]
plots.costs(
    compared[~in_paper],
    "Costs printed by others for networks with SE, and the same figures recomputed",
)

# %% [markdown]
# The multiply-adds hardly move, the parameters grow by a tenth: SE pays in memory, not in arithmetic. Two things about
# the printed figures are worth knowing. The 3.86 G of the plain network is for the original ResNet, which has the stride
# of a stage in its first 1 x 1 convolution; torchvision's ResNet-50 has it in the 3 x 3, and more work. And some rows of
# parameters are off by one in the last digit: the column looks like a sum of rounded numbers, the plain network and what
# SE adds. That explains all of these rows but $r = 8$.
#
# What a block does to each value of the map is not a multiply-add in this count, but it has to be read and written.
# `profile` counts it apart, as element-wise work:

# %% tags=["nbval-check-output"]
plain = profile(create("resnet50_v1", 1000), 224)
rows = []
for reduction in (2, 4, 8, 16, 32):
    added = (
        profile(
            create("resnet50_v1", 1000, "se", {"reduction": reduction, "bias": False}),
            224,
        )
        - plain
    )
    rows.append(
        {
            "reduction r": reduction,
            "parameters added": added.parameters,
            "MACs added (M)": added.macs / 1e6,
            "element-wise added (M)": added.elementwise / 1e6,
        }
    )
sweep = pd.DataFrame(rows)
plots.table(
    sweep, "What SE adds to ResNet-50 at each reduction, without biases", digits=2
)

# %% mystnb={"image": {"alt": "Two panels over the reduction 2 to 32, logarithmic. Left: parameters added fall from 20 million to 1.3 million. Right: published top-1 error stays near 22.3 per cent up to 16, rises at 32, and is 23.3 without SE."}} tags=["hide-input"]
table_10 = paper.table("table-10")
with_se = table_10[pd.to_numeric(table_10["r"], errors="coerce").notna()]
without = table_10[pd.to_numeric(table_10["r"], errors="coerce").isna()]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
left.plot(
    sweep["reduction r"],
    sweep["parameters added"] / 1e6,
    "-o",
    color=plots.colour("se"),
)
left.set(
    xscale="log",
    yscale="log",
    xlabel="reduction r",
    ylabel="parameters added (M)",
    title="cost, measured",
)
left.set_yticks([1, 2, 5, 10, 20], [1, 2, 5, 10, 20])
right.plot(
    with_se["r"].astype(int),
    with_se["top1_err"].astype(float),
    "-o",
    color=plots.colour("se"),
    label="SE",
)
right.axhline(
    float(without["top1_err"].iloc[0]),
    color=plots.colour("none"),
    ls="--",
    label="no SE",
)
right.set(
    xscale="log",
    xlabel="reduction r",
    ylabel="top-1 error (%)",
    title="ImageNet error, as published",
)
right.legend(frameon=False)
for axis in (left, right):
    axis.set_xticks([2, 4, 8, 16, 32], [2, 4, 8, 16, 32])
    axis.minorticks_off()
plt.show()

# %% [markdown]
# **What to see.** On the left, parameters fall as $1/r$ (a straight line on these axes). On the right, the paper's own
# errors do not follow: from $r = 2$ to $r = 16$ the line is flat, and every point of it is one printed number, without
# a spread. In that range the choice of $r$ is a choice of size.
#
# ## Training
#
# The cell below trains a small ResNet on generated shapes, in seconds and on any machine: it shows that the code works,
# and no sentence of this book rests on its numbers. With `ATTNLIB_LANE=full` the same cell trains on CIFAR-10, the plain
# network too, and writes the records that the next section draws.

# %%
runs = {}
for attention in ("none", "se") if lane() == "full" else ("se",):
    runs[attention] = train(chapter_recipe(attention, seed=0))
    if lane() == "full":
        store(runs[attention].record)
    print(f"{attention:<7}{runs[attention].record.final.accuracy:.3f}")
data = runs["se"].record.recipe.data
floor = linear_accuracy(load(data, "train"), load(data, "test"))
print(f"linear {floor:.3f}")

# %% mystnb={"image": {"alt": "Accuracy against epoch for the network with SE, held-out solid and training dotted, and the dashed level of a linear model."}} tags=["hide-input"]
plots.learning_curves([run.record for run in runs.values()], floor=floor)
plt.show()

# %% [markdown]
# **What to see.** Solid lines are accuracies on images held back from training, dotted ones on the training images. The
# distance of the solid line from the dashed one is what the network sees beyond single pixels. A dotted value is the mean
# over an epoch in which the network still learns, so that it lags behind. Whether SE helps, one run cannot say: see the
# seeds below.
#
# ### CIFAR-10, recorded
#
# Real images, recorded beforehand: a tenth of CIFAR-10 for four epochs, and all of it for thirty. *Constant* is a
# network whose gates are all one half, whatever the image: a control, since multiplying a branch by a fixed number
# also changes how a network trains.

# %% mystnb={"image": {"alt": "Test accuracy on CIFAR-10 of every recorded run as a point, one row each for no attention, a constant gate of one half, and SE, with a bar at each mean."}} tags=["hide-input"]
compared_keys = ("none", "constant", "se")
recorded = {
    recipe: [run for key in compared_keys for run in records(recipe, key)]
    for recipe in ("cifar10-slice", "equal-budget")
}
for runs_of_recipe in recorded.values():
    plots.accuracies(runs_of_recipe)
    plt.show()

# %% tags=["nbval-check-output", "hide-input"]
plots.accuracy_table(recorded["cifar10-slice"], "CIFAR-10, 5,000 images, 4 epochs")

# %% [markdown]
# **What to see.** One point is one run, the bar its mean over seeds. Only the distance between SE and the *constant*
# row can be due to what the gates have learned; where the points of two rows overlap, these runs do not rank them.
#
# ## Looking inside
#
# The paper looks at its gates by class (its Figure 6): it averages each gate over all images of one class, and compares
# classes at several depths. Early blocks should gate all classes alike, since edges and colours are everybody's; late
# blocks should tell classes apart. (At the very end the paper finds an exception: in a block of the last stage nearly
# all gates saturate at one.) Here is that figure for the network trained on shapes, with a number to go with it: the spread
# of the class means of a gate, averaged over channels.

# %% mystnb={"image": {"alt": "Three heat maps, one for each block, of mean gate by class and channel; and a bar chart of the spread between classes for each block."}} tags=["hide-input"]
# a network that knows shapes, also where the cell above trained on CIFAR
trained = (
    runs["se"] if data == "shapes" else train(Recipe.named("smoke", attention="se"))
)
model = trained.model.cpu()
images, labels = trained.inputs(shapes.images), torch.tensor(shapes.labels)
with (
    torch.no_grad(),
    plots.captured(model, lambda module, x: module.gate(x)[:, :, 0, 0]) as gates,
):
    model(images)
by_class = {
    path: torch.stack([gate[labels == k].mean(0) for k in range(len(shapes.classes))])
    for path, gate in gates.items()
}
figure, axes = plt.subplots(1, 4, figsize=(11, 3.4), width_ratios=[1, 1, 1, 0.7])
for axis, (path, means) in zip(axes, by_class.items(), strict=False):
    sns.heatmap(
        means,
        ax=axis,
        vmin=0,
        vmax=1,
        cbar=axis is axes[2],
        xticklabels=False,
        yticklabels=False,
    )
    axis.set(title=path.rsplit(".", 1)[0], xlabel="channel")
axes[0].set_yticks(np.arange(len(shapes.classes)) + 0.5, shapes.classes, rotation=0)
spread = [means.std(0).mean().item() for means in by_class.values()]
axes[-1].bar(
    [path.split(".")[0] for path in by_class], spread, color=plots.colour("se")
)
axes[-1].set(title="class spread")
plt.show()

# %% [markdown]
# **What to see.** Each row is a class, each column a channel. Where a column has one colour, the mean of that gate
# does not depend on the class. The bars on the right sum up each panel.
#
# A second look, channel by channel: the first block's strongest and weakest gates on single images, and what they gate.

# %% mystnb={"image": {"alt": "Rows of images with, beside each, two channel maps with the largest gates and two with the smallest gates of the first block."}} tags=["hide-input"]
chosen = [int(np.flatnonzero(shapes.labels == k)[0]) for k in (0, 4, 6)]
with (
    torch.no_grad(),
    plots.captured(model, lambda module, x: (x, module.gate(x)[:, :, 0, 0])) as seen,
):
    model(images[chosen])
x, gate = seen["layer1.0.bn2"]
order = gate.argsort(1, descending=True)
rows = torch.arange(len(chosen))
picks = [order[:, 0], order[:, 1], order[:, -2], order[:, -1]]
maps = [x[rows, pick] * gate[rows, pick][:, None, None] for pick in picks]
plots.show_maps(
    shapes.images[chosen],
    maps,
    ["largest", "2nd", "2nd smallest", "smallest"],
    label="gated map",
)
plt.show()

# %% [markdown]
# **What to see.** Which channels are let through differs from image to image, since the order of the gates does. A gate
# says how much of a channel passes, not whether the channel has anything to show: a map with a large gate can be flat.

# %% mystnb={"image": {"alt": "Three images and, below each, over a grey copy of each, where Grad-CAM finds the evidence of the network with SE; the object's outline is drawn in white."}} tags=["hide-input"]
heat = plots.grad_cam(model, model.layer3, images[chosen], labels[chosen])
figure, axes = plt.subplots(2, len(chosen), figsize=(2.2 * len(chosen), 4.4))
for column, n in enumerate(chosen):
    axes[0, column].imshow(shapes.images[n])
    axes[0, column].set_axis_off()
    plots.overlay(
        shapes.images[n], heat[column], axes[1, column], shapes.classes[labels[n]]
    )
    axes[1, column].contour(shapes.masks[n], levels=[0.5], colors="white", linewidths=1)
plt.show()

# %% [markdown]
# **What to see.** Grad-CAM marks where the evidence for the class lies; the white line is the true outline of the
# object. SE itself has no say in *where*: its gate is one number for a whole channel.
#
# ### Which squeeze?
#
# The paper also tries the maximum instead of the mean (its Table 11) and no squeeze at all, two 1 x 1 convolutions on
# the map (Section 7.1, "NoSqueeze"). All three have the same parameters. What differs is what a gate can know and what
# it costs:

# %% tags=["nbval-check-output"]
rows = []
for squeeze in ("avg", "max", "none"):
    module = attnlib.create("se", 256, squeeze=squeeze)
    cost = profile(module, 56, in_channels=256)
    shape = tuple(module.gate(torch.zeros(1, 256, 56, 56)).shape)
    rows.append(
        {
            "squeeze": squeeze,
            "gate": str(shape),
            "parameters": cost.parameters,
            "MACs": cost.macs,
        }
    )
plots.table(
    pd.DataFrame(rows), "One SE block of 256 channels on a 56 x 56 map, three squeezes"
)

# %% mystnb={"image": {"alt": "Gates of one channel over three images under the three squeezes: constant for mean and maximum, a map that follows the image for no squeeze."}} tags=["hide-input"]
torch.manual_seed(0)
x = torch.relu(nn.Conv2d(3, 16, 3, padding=1)(images[chosen])).detach()
variants = {
    name: attnlib.create("se", 16, reduction=4, squeeze=name)
    for name in ("avg", "max", "none")
}
for module in variants.values():
    module.load_state_dict(variants["avg"].state_dict())
maps = [
    module.gate(x).detach()[:, 3].expand(-1, 32, 32) for module in variants.values()
]
plots.show_maps(shapes.images[chosen], maps, list(variants), label="gate of channel 3")
plt.show()

# %% [markdown]
# **What to see.** With the same weights, mean and maximum give one gate for the whole channel; without the squeeze the
# gate becomes a map, which sees each pixel and nothing else. In the paper's ablation (its Table 16) that loses about two
# thirds of the gain, and adds many times the multiply-adds: most of what SE gives is the view of the whole image.
#
# ## What the paper claims, and what holds
#
# Every claim that is a matter of counting or algebra is recomputed, and its verdict follows from a stated tolerance.
# Claims about ImageNet accuracy are not testable here, and say so. The verdicts are read from a file;
# `attnlib ledger --paper se --recompute` computes them again, and [the ledger](../../book/ledger.md) shows the code of
# each check.

# %% tags=["nbval-check-output"]
plots.verdicts(paper.verdicts(most=None))

# %% [markdown]
# ## Where the paper and the released code differ

# %% tags=["nbval-check-output", "hide-input"]
plots.differences(paper)

# %% [markdown]
# ## Exercises
#
# ```{exercise} Pixels do not matter
# :label: se-exercise-permutation
#
# Show from {eq}`se-squeeze` that the gate does not change when the pixels of the map are permuted, the same way in all
# channels. Check it. For which of the three squeezes does it hold?
# ```
#
# ````{solution-start} se-exercise-permutation
# :class: dropdown
# ````
#
# The mean is a sum over all pixels, and a sum does not depend on the order of its terms; neither does a maximum. The
# gate of the mean and of the maximum is thus *invariant*. Without a squeeze each pixel has its own gate, which moves with
# its pixel: the gate is *equivariant*.

# %% tags=["nbval-check-output"]
torch.manual_seed(0)
x = torch.randn(1, 16, 5, 7, dtype=torch.float64)
order = torch.randperm(35)
permuted = x.flatten(2)[:, :, order].view_as(x)
for squeeze in ("avg", "max", "none"):
    module = attnlib.create("se", 16, squeeze=squeeze).double()
    before, after = module.gate(x), module.gate(permuted)
    if squeeze == "none":
        before = before.flatten(2)[:, :, order].view_as(before)
    print(squeeze, torch.allclose(before, after))

# %% [markdown]
# ````{solution-end}
# ````
#
# ```{exercise} Where the parameters are
# :label: se-exercise-stage
#
# ResNet-50 has 3, 4, 6 and 3 blocks with 256, 512, 1024 and 2048 channels. Which share of SE's parameters sits in the last
# stage? The paper drops SE there and loses little: what is the network's overhead then?
# ```
#
# ````{solution-start} se-exercise-stage
# :class: dropdown
# ````

# %% tags=["nbval-check-output"]
per_stage = [
    blocks * formula(width, 16, bias=False)
    for blocks, width in ((3, 256), (4, 512), (6, 1024), (3, 2048))
]
plain_parameters = sum(p.numel() for p in create("resnet50", 1000).parameters())
print(f"share of the last stage: {per_stage[-1] / sum(per_stage):.1%}")
print(
    f"overhead with all stages: {sum(per_stage) / plain_parameters:.1%}, without the last: "
    f"{sum(per_stage[:-1]) / plain_parameters:.1%}"
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ```{exercise} A hidden layer of one
# :label: se-exercise-rounding
#
# In a CIFAR ResNet the first stage has 16 channels: at $r = 16$ the hidden layer has one unit. A widely used library
# rounds the hidden width to the nearest multiple of 8, and never below 8. How many parameters does this change in
# ResNet-20, with biases? Is it still the same network?
# ```
#
# ````{solution-start} se-exercise-rounding
# :class: dropdown
# ````
#
# The widths are 16, 32 and 64, with three blocks each, so that the hidden layer has 1, 2 and 4 units, or 8, 8 and 8 when
# rounded: another network, with more than twice the attention parameters, under the same name.


# %% tags=["nbval-check-output"]
def with_hidden(channels, hidden):
    return 2 * channels * hidden + channels + hidden


paper_form = sum(3 * with_hidden(width, width // 16) for width in (16, 32, 64))
rounded = sum(3 * with_hidden(width, 8) for width in (16, 32, 64))
print(f"floor(C / r): {paper_form:,}    rounded to 8: {rounded:,}")
built = create("resnet20", 10, "se")
print(
    "attnlib builds floor(C / r):",
    sum(p.numel() for m in attention_modules(built).values() for p in m.parameters())
    == paper_form,
)

# %% [markdown]
# ````{solution-end}
# ````
#
# ## Further reading
#
# * The journal version {cite}`se` has the ablations used here: reduction, squeeze, excitation, placement.
# * [NAM](nam.ipynb) and [SA](sa.ipynb) gate with a hundredth of the parameters or fewer, and without a look at the
#   other channels.
