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
# # SASA, deeper
#
# [The chapter](sasa.ipynb) leaves five questions open. How is it fast, if the module from scratch copies 49 neighbours
# for every pixel? Why does the gradient grow? How much weight goes to pixels that are not there? What does the
# attention stem do otherwise? And what of all this can be seen in the printed tables? The definitions are those of the
# chapter.

# %% mystnb={"code_prompt_show": "Install attnlib where it is missing"} tags=["hide-cell"]
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

# %% mystnb={"code_prompt_show": "Imports"} tags=["hide-input"]
import copy
import math

import matplotlib.pyplot as plt
import pandas as pd
import torch
import torch.nn.functional as F
from torch import nn

import attnlib
from attnlib import check, exercises, finding, plots
from attnlib.data.shapes import generate
from attnlib.networks.sasa_resnet import sasa_resnet
from attnlib.profiling.memory import LiveBytes
from attnlib.results import measurements
from attnlib.self_attention.local import local_attention, windows_form
from attnlib.training import Recipe, train

plots.use()
paper = attnlib.paper("sasa")

# %% [markdown]
# ## How can one look through windows without copying them?
#
# With a window of 7 the module from scratch makes keys and values 49 times as large. Three steps lead to a form that
# does not.
#
# **Split the positions.** A position vector is put together from two halves, $r = [\rho; \kappa]$. Cut the query in the
# same way, $q = [q'; q'']$, and the product falls apart:
#
# :::{div} wide
# $$q \cdot r_{a - i,\, b - j} = q' \cdot \rho_{a - i} + q'' \cdot \kappa_{b - j}.$$ (sasa-split)
# :::
#
# There are only $s$ different first terms and $s$ different second ones: $2 s$ products of width $d / 2$ instead of
# $s^2$ of width $d$.
#
# **Shift instead of copying.** Fix an offset $(u, w)$ and look at all pixels together. The products $q_{ij} \cdot
# k_{i + u, j + w}$ are one product of two maps, the queries and the keys moved by $(u, w)$. A moved map needs no
# copy, if its rows lie one behind the other in memory with $\lfloor s / 2 \rfloor$ zeros between them, which stand
# for what lies beyond the border. Then to move is to start reading later. With *pitch* for the length of a row with
# its zeros, and $u$ and $w$ counted from the corner of the window,
#
# $$\text{start}(u, w) = u \cdot \text{pitch} + w.$$ (sasa-shift)
#
# A loop over the offsets fills $s^2$ logits for each pixel and head; after the softmax a second loop adds up weights
# times moved values. What is kept is $s^2$ numbers a pixel and *head*, not $s^2$ numbers a pixel and *channel*.
#
# **On a small map, everything at once.** Where a map is hardly larger than a window, nearly all pairs of pixels meet.
# There one matrix product of all queries with all keys is faster than a loop; pairs outside each other's window get
# $-\infty$. The keys beyond the border have $q \cdot k = 0$ and no value, so all of them together are one more key
# without a value, with the logit
#
# $$S_\ast = \log \sum_{(a, b)\ \text{beyond}} e^{q \cdot r_{a - i,\, b - j}}.$$ (sasa-beyond)
#
# The package takes this dense form up to three windows' area, and the shifts above (`attnlib/kernels/local.py`).
# The check holds output and all five gradients of both against the form that copies, with both borders: 6 by 8 pixels
# are dense (48 are fewer than three windows of 25), 9 by 11 are shifts.


# %% tags=["nbval-check-output"]
def drawn(size, s=5, heads=2, d=4, dtype=torch.float64):
    shapes = [(2, heads, d, *size)] * 3 + [(heads, d // 2, s)] * 2
    torch.manual_seed(0)
    return [torch.randn(n, dtype=dtype).requires_grad_() for n in shapes]


for form, size in (("dense", (6, 8)), ("shifts", (9, 11))):
    for border in ("pad", "mask"):
        tensors, found = drawn(size), []
        for attend in (local_attention, windows_form):
            y = attend(*tensors, 5, border)
            upstream = torch.linspace(-1, 1, y.numel()).double()
            loss = (upstream.view_as(y) * y).sum()
            found.append([y, *torch.autograd.grad(loss, tensors)])
        check(f"{form}, {border}", *found, atol=1e-11)

# %% [markdown]
# What does that save? Recorded with two threads on a CPU: 64 channels, 8 heads, windows of 7, batch 8; the attention
# alone, without the projections. The opponent is the way of public ports, which copy by `F.unfold`.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Two panels against the map's side, both logarithmic. Upper: milliseconds for forward and backward, unfold 3 to 9 times above the fast form. Lower: peak memory in megabytes, unfold 6 to 9 times above."}, "figure": {"caption": "Time and memory of a forward and backward pass, by the side of the map.", "name": "sasa-curve"}} tags=["hide-input"]
rows = pd.DataFrame(measurements("cpu-local").rows)
rows = rows.query("against == 'unfold'").set_index("pass")
local = rows.loc["forward+backward"]
figure, (time, memory) = plots.panels(2, sharex=True)
sides = local["size"]
ours = plots.look("sasa").points(label="shifts and dense")
theirs = {"color": plots.FAINT, "marker": "s", "label": "unfold"}
time.loglog(sides, local["milliseconds"], **ours)
time.loglog(sides, local["milliseconds_against"], **theirs)
memory.loglog(sides, local["peak_bytes"] / 1e6, **ours)
memory.loglog(sides, local["peak_bytes_against"] / 1e6, **theirs)
time.set(ylabel="milliseconds")
memory.set(ylabel="peak memory (MB)", xlabel="side of the map")
memory.set_xticks(sides, sides)
memory.minorticks_off()
time.legend(frameon=False)
faster = (1 / local["ratio"]).tolist()
less = (local["peak_bytes_against"] / local["peak_bytes"]).tolist()
finding("3.6, 3.4, 9.1 and 8.1 times", *faster)
finding("6.0, 6.3, 8.5 and 9.4 times", *less)
finding("up to 14.2 times", 1 / rows.loc["forward", "ratio"].min())
finding("1,370 MB", local["peak_bytes_against"].iloc[-1] / 1e6)
finding("146", local["peak_bytes"].iloc[-1] / 1e6)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Shifted, nothing is copied. At 8, 16, 32 and 56 pixels a side a training step is 3.6, 3.4, 9.1 and 8.1 times as fast
# as with unfold, which takes 6.0, 6.3, 8.5 and 9.4 times the memory: at 56 pixels 1,370 MB for one layer of 64 channels
# and 8 images, where the fast form takes 146. Forward alone it is up to 14.2 times as fast.
# :::
#
# Nor does the fast form pay for wide heads: what it keeps, the weights, does not depend on their width. The most bytes
# that live at once in a step, counted without a clock:

# %% tags=["nbval-check-output"]
peaks = {}
for attend in (local_attention, windows_form):
    for d in (4, 16):  # channels a head
        tensors = drawn((16, 16), 7, 2, d, torch.float32)
        with LiveBytes() as live:
            attend(*tensors, 7, "pad").sum().backward()
        peaks[attend.__name__, d] = live.peak
        print(f"{attend.__name__}, {d:2}: {live.peak / 1e6:4.1f} MB")

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-cell"]
growth = {way: peaks[way, 16] / peaks[way, 4] for way, _ in peaks}
finding("takes 3.6 times the memory", growth["windows_form"])
finding("less than 2.5", growth["local_attention"] < 2.5)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With four times the channels a head, 16 for 4, the form that copies takes 3.6 times the memory, the fast one less
# than 2.5 times.
# :::


# %% mystnb={"code_prompt_show": "The module from scratch, as in the chapter"} tags=["hide-input"]
def windows(t, s, M):
    """(N, C, H, W) -> (N, M, d, s * s, H * W), zeros beyond the border."""
    around = F.unfold(t, s, padding=s // 2)
    return around.unflatten(1, (M, -1, s * s))


def relative(rho, kappa):
    """Vectors (M, d / 2, s) of rows and columns -> (M, d, s * s, 1)."""
    s = rho.shape[-1]
    # r = [rho_(a - i); kappa_(b - j)]
    rows = rho[..., None].expand(-1, -1, -1, s)
    columns = kappa[:, :, None].expand(-1, -1, s, -1)
    return torch.cat([rows, columns], 1).flatten(2)[..., None]


class StandAloneAttention(nn.Module):
    def __init__(self, C, s=7, M=8):
        super().__init__()
        W = [nn.Conv2d(C, C, 1, bias=False) for _ in range(3)]
        self.query, self.key, self.value = W  # W_Q, W_K, W_V
        self.rho = nn.Parameter(torch.randn(M, C // M // 2, s))
        self.kappa = nn.Parameter(torch.randn(M, C // M // 2, s))

    def forward(self, x):
        M, _, s = self.rho.shape
        q = windows(self.query(x), 1, M)
        k = windows(self.key(x), s, M)
        v = windows(self.value(x), s, M)
        # S = q . (k + r)
        S = (q * (k + relative(self.rho, self.kappa))).sum(2)
        # A = softmax(S) over the window
        A = S.softmax(2)
        # y = sum over the window of A v
        return (A[:, :, None] * v).sum(3).reshape(x.shape)


# %% [markdown]
# ## Why does the gradient grow?
#
# The chapter found a gradient 269 times as large as without attention. Which part of the layer multiplies it? First the
# gradient itself, where a bar over a quantity is the derivative of the loss by it. For one query and one head it is
# that of all attention ([derived here](dot_product_deeper.ipynb), {eq}`dp-back-scores`), over a window: each value gets
# $\bar v_{ab} = A_{ab}\, \bar y$, and each logit
#
# $$\bar S_{ab} = A_{ab}\, (v_{ab} - y) \cdot \bar y.$$ (sasa-back-logits)
#
# Then {eq}`sasa-logits`, a product of two factors, passes it to both:
#
# $$\bar q = \sum_{a, b} \bar S_{ab}\, (k_{ab} + r_{ab}),$$ (sasa-back-query)
#
# $$\bar k_{ab} = \bar S_{ab}\, q.$$ (sasa-back-key)
#
# Through the values the gradient is spread with weights that sum to one, so that it does not grow. Through queries and
# keys it is multiplied by the *sizes* of values, keys and queries, and nothing in the layer divides by those. That is
# the suspect. The check holds the formulas against automatic differentiation; `F.fold` is the way back of `F.unfold`:
# it adds up what a pixel gets from all windows that it lies in.

# %%
torch.manual_seed(0)
scratch = StandAloneAttention(8, s=3, M=2).double()
x = torch.randn(1, 8, 9, 7, dtype=torch.float64, requires_grad=True)
upstream = torch.randn_like(x)  # dL / dy
(automatic,) = torch.autograd.grad((upstream * scratch(x)).sum(), x)
with torch.no_grad():
    q, back_y = windows(scratch.query(x), 1, 2), windows(upstream, 1, 2)
    k, v = (windows(W(x), 3, 2) for W in (scratch.key, scratch.value))
    k_and_r = k + relative(scratch.rho, scratch.kappa)
    A = (q * k_and_r).sum(2, keepdim=True).softmax(3)
    y = (A * v).sum(3, keepdim=True)
    back_v = A * back_y
    back_S = A * ((v - y) * back_y).sum(2, keepdim=True)
    back_q = (back_S * k_and_r).sum(3, keepdim=True)
    back_k = back_S * q


# %% tags=["nbval-check-output"]
def fold(t):
    s = math.isqrt(t.shape[3])
    return F.fold(t.flatten(1, 3), (9, 7), s, padding=s // 2)


by_hand = sum(
    F.conv2d(fold(back), W.weight.transpose(0, 1).detach())
    for back, W in zip((back_q, back_k, back_v), scratch.children())
)
check("gradient by hand = automatic", by_hand, automatic, atol=1e-12)

# %% [markdown]
# Now the trial: ResNet-20 at its start, with one or two attention layers in each block of its last stage, as in the
# chapter, and one thing changed at a time. Another suspect would be the batch norm behind each layer: attention
# averages, the norm divides by the small deviation that is left, and so might blow the gradient up. In the first three
# rows of {numref}`sasa-suspects` the network computes the same and only the way back is cut; in the other three the
# layers are changed.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Six rows on a logarithmic axis, each with a point for one and one for two attention layers a block: how many times the plain network's gradient. As it is 14 and 269; through values alone and with equal weights 2 to 3; through weights alone, with divided logits and without positions 9 to 360."}, "figure": {"caption": "Gradient of the first convolution over that of the plain network, with one and with two attention layers in each block of the last stage. One network of each kind.", "name": "sasa-suspects"}} tags=["hide-input"]
table = pd.DataFrame(measurements("sasa-gradients").rows)
first = table.query("layer == 'conv1'").set_index(["replaced", "form"])
first = first["gradient"] / first["gradient"][0, "as it is"]
forms = {
    "as it is": "as it is",
    "gradient through values alone": "through values alone",
    "gradient through shares alone": "through weights alone",
    "logits = 0": "equal weights",
    "logits / sqrt(d)": "logits / sqrt(d)",
    "relative positions = 0": "no positions",
}
_, axis = plt.subplots(figsize=(plots.COLUMN, 2.9))
for layers, face in ((1, "none"), (2, plots.colour("sasa"))):
    times = first[layers][list(forms)]
    style = plots.look("sasa").points(ls="", mfc=face)
    axis.plot(
        times, list(forms.values()), **style, label=f"{layers} a block"
    )
axis.axvline(1, color=plots.INK, lw=1, ls="--")
axis.set_xscale("log")
axis.set(xlabel="times the plain network's gradient", xlim=(0.7, 600))
axis.set_xticks([1, 10, 100], ["1", "10", "100"])
axis.margins(y=0.12)
axis.invert_yaxis()
above = {"loc": "lower center", "bbox_to_anchor": (0.5, 1)}
axis.legend(frameon=False, ncols=2, **above)
two = first[2].rename(forms)
finding("give 2.2 times", two["through values alone"])
finding("3.2 times", two["equal weights"])
finding("it is 162.8 times", two["through weights alone"])
finding("leaves 163.1", two["logits / sqrt(d)"])
finding("359.5", two["no positions"])
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# It is not the norms. They still stand there when the gradient comes through the values alone, and two layers a block
# give 2.2 times the plain gradient; with equal weights, which average most of all, 3.2 times. Through the weights alone
# it is 162.8 times. To divide the logits by $\sqrt d$ leaves 163.1, and without positions it is worse, 359.5: the cause
# is the way through queries and keys.
# :::

# %% [markdown]
# ### By how much does each path multiply?
#
# One can estimate it. Take a gradient $\bar y$ without direction, different at each pixel, and projections drawn from
# $N(0, 2 / C)$, which multiply the square of a gradient by 2. Call the gradient at a layer's input over that at its
# output the layer's *gain*; its square is twice the mean of three terms, one for each path.
#
# Through *values*: a value sums $A\, \bar y$ over the queries that look at it, and without a common direction their
# squares add up. Through *keys*: a logit, {eq}`sasa-back-logits`, has the mean square $A^2 |v - y|^2$ times that of
# $\bar y$, and {eq}`sasa-back-key` multiplies it by $|q|^2$. Through *queries*: the sum in {eq}`sasa-back-query` is a
# covariance of values and keys over the window, $K = \sum A\,(v - y)(k + r)^{\top}$, with $|K|$ for the root of the sum
# of its squares.
#
# $$\sum A^2,$$ (sasa-gain-value)
#
# $$\sum A^2\, |v - y|^2\, |q|^2 / d,$$ (sasa-gain-key)
#
# $$|K|^2 / d.$$ (sasa-gain-query)
#
# The first is at most one in the mean, as weights sum to one. The others grow with the values, the keys and the
# queries. On the network above with two layers a block:

# %% tags=["nbval-check-output"]
both = table.query("replaced == 2 and form == 'as it is'").dropna()
both = both.set_index("layer")[["gain", "value", "key", "query"]]
both["derived"] = (both[["value", "key", "query"]] ** 2).sum(axis=1) ** 0.5
both.insert(0, "attention layer", both.index)
plots.table(
    both, "Gain of the gradient, and what each path adds", digits=2
)

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-input"]
part = 100 * (both["value"] / both["derived"]) ** 2
finding("8 to 18 %", part.min(), part.max())
same_size = both.iloc[1:]  # the first halves the map behind it
short = same_size["derived"] / same_size["gain"]
finding("0.49 to 0.76", short.min(), short.max())

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# In all six layers the values carry little: 8 to 18 % of the square of the derived gain; queries and keys the rest. The
# derivation is too small, 0.49 to 0.76 of the gain that was measured in the five layers without a stride: the gradient
# of a network has a direction, and the derivation has none. It names the cause; it does not give the number.
# :::

# %% [markdown]
# ## How much weight goes to pixels that are not there?
#
# On a map of 8 by 8 pixels nearly every window of 7 by 7 reaches beyond the border, where zeros stand. Along one axis
# the eight windows hold 4, 5, 6, 7, 7, 6, 5 and 4 of their places on the map, together 44 of 56, so that $1 - (44 /
# 56)^2$ of all keys are padding. The key there is zero, but its position vector is not, and so it takes part in the
# softmax. How much does it get in a trained network?

# %%
place = "layer3.*.conv2"
trained = train(Recipe.named("smoke", attention="sasa", placement=place))
images, _, _ = generate(300, seed=7)
read = lambda sasa, x: (sasa.weights(x),)
with torch.no_grad(), plots.captured(trained.model, read) as seen:
    trained.model(trained.inputs(images))
((A,),) = seen.values()  # (images, heads, queries, 7 * 7)

# %%
on_map = windows(torch.ones(1, 1, 8, 8), 7, 1)[0, 0, 0]  # (49, 64)
places_beyond = 100 * (1 - on_map.mean().item())
weight_beyond = (A * (1 - on_map.T)).sum(-1).mean((0, 2))  # by head
print(f"{places_beyond:.1f} % of the places lie beyond the map")
in_order = sorted(100 * weight_beyond, reverse=True)
print("their weight by head (%):", *(f"{w:.0f}" for w in in_order))

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-input"]
finding("38.3 %", places_beyond)
mean = 100 * weight_beyond.mean().item()
finding("less than that, but more than a tenth", 10 < mean < places_beyond)
finding("more than 30 %", 100 * weight_beyond.max().item() > 30)
finding("less than 10 %", 100 * weight_beyond.min().item() < 10)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# 38.3 % of the keys are not there. They take less than that, but more than a tenth of all weight. The heads differ: one of them
# gives more than 30 % of its weight to the padding, another less than 10 %. The padding has no value to give: a head
# that looks beyond the border takes nothing, and so it has a way to be silent.
# :::
#
# ````{exercise} The corner
# :label: sasa-exercise-border
#
# *Easy, 5 minutes.* The pixel in the corner of a large map has a window of 7 by 7, padded with zeros, and equal logits.
# Which share of its weight does the padding take, in per cent, without decimals?
#
# :::{dropdown} Hint
# Count the pixels of the window that are on the map.
# :::
# ````

# %%
exercises.answer("sasa-exercise-border", ...)  # your answer for the dots

# %% [markdown]
# ````{solution-start} sasa-exercise-border
# :class: dropdown
# ````
#
# Two thirds: a fresh corner is three times as dark as the middle of the map.

# %%
on_the_map = windows(torch.ones(1, 1, 9, 9), 7, 1)[0, 0, 0, :, 0]
answer = 100 * (1 - on_the_map.mean().item())
print(f"{answer:.0f} %")

# %% mystnb={"code_prompt_show": "Right and wrong answers"} tags=["hide-cell"]
exercises.try_judge(
    "sasa-exercise-border", right=answer, wrong=[33, 43, 75]
)

# %% [markdown]
# ````{solution-end}
# ````

# %% [markdown]
# ## What does the attention stem do otherwise?
#
# A pixel of an image has three colours, too few to compare pixels by, and a stem of plain attention loses. The
# attention stem leaves the logits as they are and changes the values: inside blocks of 4 by 4 pixels, each place $(a,
# b)$ of the block has a mixture of $m$ value matrices of its own, with learned vectors of the row, the column and the
# matrix:
#
# :::{div} wide
# $$p_{ab}^m = \text{softmax}_m\big((e_a + f_b) \cdot \nu^m\big),$$ (sasa-mixture)
# :::
#
# $$v_{ab} = \Big(\sum_m p_{ab}^m\, W_V^m\Big)\, x_{ab}.$$ (sasa-stem-value)
#
# So what a neighbour gives depends on where it lies, as in a convolution. The sum over $m$ may be taken before or after
# the product with $x$; mixed first, one matrix product for each pixel is enough.

# %% tags=["nbval-check-output"]
stem = attnlib.create("sasa_stem", 3).double()
p = stem.block_mixture()  # (4, 4, m)
W = torch.stack([layer.weight[:, :, 0, 0] for layer in stem.value])
block = torch.randn(3, 4, 4, dtype=torch.float64)
check(
    "shares of the mixture",
    p.sum(-1),
    torch.ones(4, 4).double(),
    atol=1e-12,
)
mixed = torch.einsum("abm,moc->aboc", p, W)
first_mixed = torch.einsum("aboc,cab->oab", mixed, block)
applied = torch.einsum("moc,cab->moab", W, block)
first_applied = torch.einsum("abm,moab->oab", p, applied)
check(
    "mixed first = applied first", first_mixed, first_applied, atol=1e-12
)

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "Show the code"}
printed = paper.table("table-7")
counted = paper.costs("Table 7")
stems = printed[["stem", "top1", "flops_B"]].copy()
stems["counted"] = counted["measured"].tolist()
stems.columns = [
    "values of the stem",
    "top-1 (%)",
    "printed (G)",
    "counted (G)",
]
plots.table(stems, "Three attention stems of ResNet-50", digits=1)

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# The stem takes back a piece of convolution, and needs it. Values that know their place gain 1.4 points over plain
# attention, and 0.4 over values made by a convolution (single runs of the authors).
# :::

# %% mystnb={"code_prompt_show": "Hold the finding against the data"} tags=["hide-input"]
plain, convolved, aware = printed["top1"]
finding("gain 1.4 points", aware - plain)
finding("0.4 over values made by a convolution", aware - convolved)

# %% [markdown]
# ## Are the projections dense or grouped?
#
# The chapter projects from all channels to all, though the paper's text has each head project its own channels. Which
# of the two did the authors count? Built on the device `meta`, a network has shapes and no numbers, so that both are
# counted in a moment:


# %% tags=["nbval-check-output"]
def size(module):
    return sum(p.numel() for p in module.parameters())


sizes = {}
for form in ("dense", "grouped"):
    with torch.device("meta"):
        sizes[form] = size(sasa_resnet(50, projections=form))
    print(f"ResNet-50, {form}: {sizes[form]:,} parameters")
C, s = 512, 7
layer = attnlib.create("sasa", C, kernel_size=s)
check("parameters of a layer", size(layer), 3 * C**2 + s * C)
macs = attnlib.profile(layer, image_size=4, in_channels=C).macs
check("multiply-adds of a layer", macs, 16 * (3 * C**2 + 3 * s**2 * C))
finding("18.04 million", sizes["dense"] / 1e6)
finding("14.74", sizes["grouped"] / 1e6)
finding("prints 18.0", paper.table("table-1")["params_M"].iloc[-2])

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# With dense projections the network has 18.04 million parameters, with grouped ones 14.74. The paper prints 18.0: its
# text describes grouped projections, its numbers come from dense ones.
# :::

# %% [markdown]
# ## What are windows, positions and content worth?
#
# Without positions the neighbours of a query may change places and nothing happens; with them it does. And where the
# map is moved, the output moves with it, but for the border:

# %% tags=["nbval-check-output", "hide-input"] mystnb={"code_prompt_show": "The three checks"}
x = torch.randn(1, 8, 9, 7, dtype=torch.float64)
window = x[..., 3:6, 2:5].flatten(2)
order = [8, 2, 5, 1, 4, 0, 3, 7, 6]  # the middle stays
exchanged = x.clone()
exchanged[..., 3:6, 2:5] = window[..., order].view(1, 8, 3, 3)
blind = copy.deepcopy(scratch)
blind.rho.data.zero_()
blind.kappa.data.zero_()
at = (..., 4, 3)
check(
    "no positions, no order",
    blind(exchanged)[at],
    blind(x)[at],
    atol=1e-12,
)
change = (scratch(exchanged)[at] - scratch(x)[at]).abs().max()
assert change > 0.01, "with positions the order has to matter"

moved, y = scratch(x.roll((2, 1), (2, 3))), scratch(x)
inside = (..., slice(3, -1), slice(2, -1))
expected = y.roll((2, 1), (2, 3))[inside]
check("moves with the map", moved[inside], expected, atol=1e-12)

# %% [markdown]
# What is that worth in accuracy? The paper varies it in ResNet-50 with a convolutional stem (its Tables 4, 5 and 6),
# each number a single run. Table 5 has the accuracy on held-out training images, which is about 3 points higher than
# that of the others.

# %% mystnb={"code_prompt_show": "Draw the figure", "image": {"alt": "Two panels against the side of the window. Upper: printed accuracy rises from 76.4 at 3 to 77.7 at 9 and is 77.6 at 11. Lower: printed and counted operations rise, the counted ones more steeply."}, "figure": {"caption": "Accuracy and operations by the side of the window.", "name": "sasa-window-side"}} tags=["hide-input"]
sides = paper.table("table-4").set_index("k")
counted = paper.costs("Table 4")["measured"].tolist()
figure, (top, low) = plots.panels(2, height=2.2, sharex=True)
top.plot(sides["top1"], **plots.look("sasa").points())
top.set(ylabel="accuracy (%)")
low.plot(sides["flops_B"], "s", color=plots.FAINT, label="printed")
low.plot(
    sides.index, counted, **plots.look("sasa").points(label="counted")
)
low.set(xlabel="side of the window", ylabel="operations (G)")
low.set_xticks(sides.index)
low.legend(frameon=False)
finding("from 76.4 to 77.4 %", sides["top1"][3], sides["top1"][7])
finding("9 is best, 77.7", sides["top1"].idxmax(), sides["top1"].max())
printed_growth = sides["flops_B"][11] - sides["flops_B"][3]
finding(
    "1.1 billion as printed, 1.3", printed_growth, counted[-1] - counted[0]
)
place = paper.table("table-5").set_index("positions")["top1_heldout"]
finding("77.6, 78.2 and 80.2 %", *place)
logit = paper.table("table-6").set_index("logit")["top1"]
finding("76.9 %, with both 77.4", *logit)
plt.show()

# %% [markdown]
# :::{admonition} Finding
# :class: finding
# Positions are worth most. Without any, with absolute and with relative ones the accuracy is 77.6, 78.2 and 80.2 %. A
# window of 7 instead of 3 takes it from 76.4 to 77.4 %; 9 is best, 77.7. (From 3 to 11 the operations grow by 1.1
# billion as printed, 1.3 as counted.) And content adds little to positions: $q \cdot r$ alone, without $q \cdot k$,
# gives 76.9 %, with both 77.4.
# :::
#
# The chapter found the opposite: its layer loses most without $q \cdot k$. There is no contradiction. To train without
# a term is one thing, to take it away from a layer that has learned with it another; and the shapes there lie anywhere,
# at any angle.
#
# ## Does the detector fit its numbers?
#
# RetinaNet finds objects ({term}`object detection`): a {term}`backbone` makes maps, a pyramid joins maps of several
# sizes, and heads name and box what is there. By the paper's Table 2 attention stands in all three. What is printed
# fits another network than the text describes:

# %% tags=["nbval-check-output"]
claims = """retinanet-attention-flops retinanet-stem
    retinanet-attention-parameters retinanet-parameters stem-detection"""
plots.verdicts(paper.verdicts(claims.split()))

# %% [markdown]
# ## Where text, numbers and ports differ, in full

# %% mystnb={"code_prompt_show": "All differences"} tags=["nbval-check-output", "hide-cell"]
plots.differences(paper)
