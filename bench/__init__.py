"""How fast it is, as ratios to the least that could do the same work. `./run bench --help` lists what can be measured."""
