# `make help` lists the commands. All of them set up .venv first; that step says nothing when there is nothing to do.
# A Python of your choice: make PYTHON=/path/to/python3.13 book
ifeq ($(origin PYTHON), undefined)
setup_python := python3
else
setup_python := $(PYTHON)
asked_python := $(PYTHON)
endif

python := .venv/bin/python
site := _build/html/index.html

export COURSE SETS

.DEFAULT_GOAL := help
.PHONY: book instructor-book release grade feedback check test test-all execute verdicts status sync serve lint lock mutants records clean help setup

book: execute  ## set up, re-execute the notebooks whose stamp is stale, build the site; SOLUTIONS=no: a site without any
	@$(python) book/tools/build.py

instructor-book: setup  ## the book with the classroom's sets and their solutions, in _build/instructor; not to be published
	@$(python) book/tools/build.py --instructor

release: setup  ## what students get of a set: SET=1; SETS=folder of your own sets, COURSE=folder of your course
	@$(python) -m classroom release "$(SET)"

grade: setup  ## judge what came back in a sandbox: SET=1, SUBMISSIONS=folder with a folder a student; goes on where it stopped
	@$(python) -m classroom grade "$(SET)" $(if $(SUBMISSIONS),--submissions "$(SUBMISSIONS)")

feedback: setup  ## pages for the students, scores as CSV (Canvas, Moodle), a report on the class: SET=1
	@$(python) -m classroom feedback "$(SET)"

check: setup  ## one module, its paper, its chapter and the style, in two minutes; KEY=se
	@$(python) book/tools/check.py --key "$(KEY)"

test: setup  ## all that a change can break, in minutes; ONLY=book after a change of prose
	@$(python) book/tools/check.py $(if $(ONLY),--only "$(ONLY)")

test-all: setup  ## the rest: kills, processes, CIFAR, every export, page and paper, some slips
	@$(python) book/tools/check.py --rest

execute: setup  ## re-execute stale notebooks; NB=path for one, whatever its stamp; ATTNLIB_LANE=full for CIFAR
	@$(python) book/tools/execute.py $(NB)

verdicts: setup  ## judge anew the papers whose verdicts are stale (a minute each); KEY=se for one in any case
	@$(python) book/tools/verdicts.py $(KEY)

status: setup  ## which notebook, verdict or cost is stale, why, and what mends it
	@$(python) book/tools/stamp.py

sync: setup  ## bring the .py and .ipynb of each pair together; the newer file wins
	@$(python) book/tools/pairs.py --sync

serve: book  ## build, then serve the site at http://127.0.0.1:8000; PORT=8001 for another port
	@$(python) book/tools/serve.py $(PORT)

mutants: setup  ## make slips one at a time and see that a test catches each; KEY=nam or SAMPLE=20
	@$(python) -m tests.mutants.run $(KEY) $(if $(SAMPLE),--sample $(SAMPLE))

records: setup  ## train a table of runs behind other work: NAME=cifar10-cpu; MINUTES=150 starts no run after that
	@$(python) workflow/driver.py train $(or $(NAME),cifar10-cpu) $(if $(MINUTES),--minutes $(MINUTES))

lint: setup  ## style, import contract, schema of the CI workflow
	@$(python) -m ruff check .
	@.venv/bin/lint-imports --no-cache
	@.venv/bin/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml

lock: setup  ## resolve pyproject.toml anew into requirements.lock (needs the network)
	@$(python) book/tools/lock.py

clean:  ## remove the built site and caches; .venv stays
	rm -rf _build .pytest_cache .ruff_cache build *.egg-info

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*  ## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

setup:
	@$(setup_python) book/tools/environment.py "$(asked_python)"
