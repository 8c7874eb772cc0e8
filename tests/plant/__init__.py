"""A power plant for tests: machines whose every microjoule is known.

One process plays the hardware of some nodes: it writes the files that Linux shows under /sys (and
/proc and control groups where a test wishes), and the shared file of the C library that stands in
for NVIDIA's. Power follows from scripted idle and busy watts and from CPU time, either that of the
real control groups of real jobs or scripted. What was drawn is logged exactly, step by step.

It knows nothing of carbonsched: files and formats are those of the kernel's documentation.
"""
