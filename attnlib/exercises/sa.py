"""The judges of the exercises of the chapter on shuffle attention."""

from attnlib.exercises.judges import Exact, Number

JUDGES = {
    "sa-exercise-300": Exact(
        "680da536bd85fde2",
        known={
            "b34151407e054645": "with another number of groups a sum comes nearer",
            "7743024e49e565ce": "with another number of groups a sum comes nearer",
            "1731a04c6de84072": "no vectors and groups give this; what divides all the sums?",
            "c764def69a876e1b": "that is the released module, with all six vectors",
        },
    ),
    "sa-exercise-order": Exact(
        "7599a4b116cd61c6",
        known={
            "385a22ec0b472c94": "that is where 2^n first passes 99; it has to leave the remainder 1",
            "4f3f192b73e7a1d1": "they are back earlier",
            "52bb1ce3e3118095": "they are back then, and earlier too",
        },
    ),
    "sa-exercise-apart": Number(
        "99911f217f862987",
        decimals=1,
        known={
            "5ec724687812b482": "either network may be the better one",
            "788b9b438cfee080": "that is how often three differences have one sign",
            "4db37d72364bc5cd": "that is how often two differences have one sign; here sets are compared, not pairs",
        },
    ),
    "sa-exercise-reach": Exact(
        "1b70aae8c77aa208",
        known={
            "1dbe78ee542ce3a8": "what a group knows doubles with each shuffle",
            "fc33f0a9123da179": "what a group knows doubles with each shuffle",
            "d52bf068862b8cc7": "after five it is half of them",
            "44ce2b798a06b397": "there are 64 groups, not 256",
        },
    ),
}
