"""What every part needs: errors, files written whole, signals, worker processes, this machine's CPU, versions."""
