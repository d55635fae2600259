"""Synthesis of arithmetic units: own Verilog, gates from yosys, areas, depths and checks."""
