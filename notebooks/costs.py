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
# # What attention costs
#
# Every network of this package, and in many of them every module at its paper's place: parameters, multiply-adds,
# activations and the memory of a training step. None of this depends on a machine. The figures are counted by `python -m benchmarks.costs`, filed
# with the package, and a sample of them is counted again in every test run.
#
# A multiply-add (MAC) is one product and one sum in a convolution, a linear map or a matrix product, however it is
# spelled; an addition of a bias is none. Everything else that computes (norms, pooling, activations, the product of a
# map with its gate) is elementwise work: one operation for each element of the largest tensor that a call reads or
# writes. Papers count otherwise, each in its own way: what they print is converted before it is compared.

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

from attnlib import plots
from attnlib.results import cost_table, costs

plots.use()
table = costs()
plain = table[table["module"] == "none"].set_index("network")

# %% [markdown]
# ## The networks alone
#
# Of a detector, the pyramid and the heads that run at every pixel are counted, since how often the others run depends on
# the image.

# %% tags=["nbval-check-output", "hide-input"]
alone = plain.assign(
    size=plain["image_size"],
    millions=plain["parameters"] / 1e6,
    giga=plain["macs"] / 1e9,
    maps=plain["activations"] / 1e6,
    memory=plain["peak_training_bytes"] / 1e6,
)
names = {
    "size": "image side",
    "millions": "parameters, M",
    "giga": "MACs, G",
    "maps": "activations, M",
    "memory": "training step, MB",
}
plots.table(
    alone.reset_index()[["network", "kind", *names]].rename(columns=names),
    "Networks without attention, one image",
    digits=2,
)

# %% [markdown]
# ## What a module adds
#
# In ResNet-50 on images of 224 pixels, then in ResNet-20. Parameters and multiply-adds are what papers advertise; the
# last two columns are what a training run notices. A gate costs next to no multiply-adds, and yet every map that it
# multiplies is written once more and kept for the backward pass.


# %% tags=["nbval-check-output", "hide-input"]
def added(network):
    """What each module adds to a network, one row a module."""
    rows = table[(table["network"] == network) & (table["module"] != "none")].set_index(
        "module"
    )
    base = plain.loc[network]
    return pd.DataFrame(
        {
            "parameters": rows["parameters"] - base["parameters"],
            "parameters, %": 100 * (rows["parameters"] / base["parameters"] - 1),
            "MACs, %": 100 * (rows["macs"] / base["macs"] - 1),
            "elementwise, %": 100 * (rows["elementwise"] / base["elementwise"] - 1),
            "memory, %": 100
            * (rows["peak_training_bytes"] / base["peak_training_bytes"] - 1),
        }
    )


plots.table(
    added("resnet50").reset_index(),
    "ResNet-50, 224 x 224: what each module adds",
    digits=2,
)

# %% tags=["nbval-check-output", "hide-input"]
plots.table(
    added("resnet20").reset_index(),
    "ResNet-20, 32 x 32: what each module adds",
    digits=2,
)

# %% [markdown]
# SASA stands for the 3 x 3 convolutions, IEBN for the norms; all others add. SASA always takes parameters away, but
# multiply-adds only where maps are wide: with $d$ channels and a window of $k$ pixels a side, one pixel costs it
# $3d^2 + 3k^2 d$ where the convolution costs $9d^2$, which for $k = 7$ is less only from $d = 25$ on.
#
# ## Parameters against multiply-adds
#
# What to see: a line from each network to the same network with a module. Channel gates with a bottleneck (SE, CBAM, SEM)
# go straight up, more parameters and no more work; the light ones do not leave their network; Non-local goes up and to
# the right; SASA goes down, and on wide networks to the left.

# %% mystnb={"image": {"alt": "Parameters in millions against multiply-adds in billions, both on logarithmic axes. A black point for each plain network, coloured points for the same network with a module, joined by lines: most lie on their network or straight above it, Non-local above and to the right, SASA below, for wide networks to the left."}} tags=["hide-input"]
drawn = "resnet20 resnet56 resnet110 resnet164 resnet18_cifar resnet50_cifar resnet18 resnet34 resnet50 resnet101"
modules = ["none", "se", "cbam", "bam", "nam", "non_local", "sasa"]
shown = table[table["network"].isin(drawn.split()) & table["module"].isin(modules)]
fig, ax = plt.subplots(figsize=(8, 4.6))
for network, rows in shown.groupby("network", sort=False):
    base = plain.loc[network]
    for _, row in rows.iterrows():
        ax.plot(
            [base["macs"] / 1e9, row["macs"] / 1e9],
            [base["parameters"] / 1e6, row["parameters"] / 1e6],
            color="0.75",
            lw=1,
            zorder=0,
        )
    ax.annotate(
        network,
        (base["macs"] / 1e9, base["parameters"] / 1e6),
        xytext=(6, 4) if network == "resnet110" else (6, -10),
        textcoords="offset points",
        fontsize="x-small",
    )
points = shown.assign(giga=shown["macs"] / 1e9, millions=shown["parameters"] / 1e6)
sns.scatterplot(
    points, x="giga", y="millions", hue="module", style="module", s=45, ax=ax
)
ax.set(
    xscale="log",
    yscale="log",
    xlabel="multiply-adds of one image, G",
    ylabel="parameters, M",
)
ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# ## Memory of a training step
#
# What to see: the share by which the largest amount of memory in one training step grows, for every module and network.
# Each dot is a network. The count runs without values, where gates take their readable form, in which every
# intermediate map is kept; with values, the forms of this package compute gates again instead, and some keep less. SASA
# is counted in the form that runs. It keeps a score for every pixel, head and offset in the window, 8 x 49 numbers where
# a narrow map has 16 channels: on the networks for CIFAR that dwarfs all else.

# %% mystnb={"image": {"alt": "A row for each module with a dot for each network: the growth of the peak memory of a training step in percent, none for a constant and IEBN, a few percent to some tens for the gates, and from less than before to several times as much for SASA."}} tags=["hide-input"]
growth = table[table["module"] != "none"].copy()
base = growth["network"].map(plain["peak_training_bytes"])
growth["percent"] = 100 * (growth["peak_training_bytes"] / base - 1)
order = growth.groupby("module")["percent"].median().sort_values().index
fig, ax = plt.subplots(figsize=(8, 4.2))
sns.stripplot(
    growth, x="percent", y="module", hue="network", order=order, jitter=False, ax=ax
)
ax.set_xscale("symlog", linthresh=10)
ax.set_xticks([-10, 0, 10, 100], ["-10", "0", "10", "100"])
ax.set(xlabel="more memory at the peak of a training step, %", ylabel="")
ax.legend(frameon=False, fontsize="x-small", loc="center left", bbox_to_anchor=(1, 0.5))
plt.show()

# %% [markdown]
# ## What is left out
#
# Pairs of network and module that do not fit, with the reason that `attach` gives:

# %% tags=["nbval-check-output", "hide-input"]
for pair, reason in cost_table().left_out.items():
    print(f"{pair}: {reason}")
