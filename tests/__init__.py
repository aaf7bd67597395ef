"""The tests: unit, lab, e2e, faults; see CONTRIBUTING.md."""
