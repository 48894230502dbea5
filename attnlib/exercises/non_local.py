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
