"""What commands do, as functions: deploy, bench, evaluate, fidelity, represent, demo, and the pages they write."""
