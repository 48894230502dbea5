"""The judges of the exercises of the chapter on non-local blocks."""

from attnlib.exercises.judges import Exact, Number

JUDGES = {
    "non-local-exercise-odd": Number(
        "2b1599d510ed60cd",
        decimals=2,
        known={
            "27276a0da8fec681": "that is the factor for even sides",
            "c8c2db2ead8e7077": "the last row and column are left out, not padded",
        },
    ),
    "non-local-exercise-size": Number(
        "76befe241596e7e4",
        decimals=2,
        known={
            "3928a9a6ac401cf0": "that is a ratio of mean squares; take the root",
            "d7bfe461a707bc0f": "the sizes of scale and shift do not add up, their squares do",
            "6dd1fe6c86572df3": "that is the size itself; it is asked as a share of the input's",
        },
    ),
    "non-local-exercise-mean": Exact(
        "7d08d5421cc724f2",
        known={
            "a0caa9e2a04c55a4": "one more leaves the mean of the rows as it is",
            "8fc56ea130954550": "equal weights are another mean",
            "10b01b3ba8abecd6": "in another order of columns, the weights belong to other positions",
        },
    ),
    "non-local-exercise-twice": Exact(
        "9375c0ee09fabbb4",
        known={
            "6c4f96ca98b55e79": "one of the two parts of the norm waits for something that is zero",
            "9bb36c34cdaca647": "one part of the norm acts whatever stands before it",
            "afeb633953fa1b4f": "look at what the scale and the last convolution wait for",
        },
    ),
    "non-local-exercise-biases": Exact(
        "20b17b66711c4e7c",
        known={
            "663cdf5a1cfb1241": "in one of the forms, two more biases have no effect",
            "2f4437b1e2f65bca": "the two forms differ: only one has weights that sum to one",
        },
    ),
    "non-local-exercise-near": Exact(
        "499d6337b0019759",
        known={"549cb762918e9b23": "both have biases", "6f79e9427ba9649f": "that is the larger block alone"},
    ),
}
