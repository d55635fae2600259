"""Where each number of the simulated controller lies in the kernels' flat int64 arrays.

The kernels hold all state of a bank (rank, queue slot) in one row of `*_CELLS` consecutive int64
cells, so that a row is one or two cache lines and an address is a shift and an add. Constants only:
Numba compiles them in.
"""

from __future__ import annotations

from typing import Final

INF: Final = 1 << 60
"""A cycle that never comes."""

NEVER: Final = -(1 << 40)
"""The cycle of an event that has not happened yet."""

# Commands. The two low bits are the timing class, whose bus constraints the command shares.
ACT: Final = 0
RD: Final = 1
WR: Final = 2
PRE: Final = 3
RDA: Final = 5
WRA: Final = 6
PREAB: Final = 7
REFAB: Final = 11
CLASSES: Final = 4

# Bank cells.
BANK_CELLS: Final = 16
B_NEXT_ACT: Final = 0
B_NEXT_CAS: Final = 1
B_NEXT_RDA: Final = 2
B_NEXT_PRE: Final = 3
B_ROW: Final = 4  # open row, -1 when precharged
B_HEAD: Final = 5  # slots of the bank's requests, oldest first
B_TAIL: Final = 6
B_COUNT: Final = 7
B_HITS: Final = 8  # queued requests for the open row
B_FIRST: Final = 9  # slot of the oldest of them, -1 when none
B_SLOT: Final = 10  # slot of the request the bank works on
B_COMMAND: Final = 11  # the command it wants
B_EARLIEST: Final = 12  # first cycle its own timing allows, INF when it wants nothing
B_REQUEST: Final = 13  # trace index of that request
B_SHARED: Final = 14  # index of its timing class in the shared table
B_ACT_AT: Final = 15  # cycle of the last ACT

# Slot cells: one per request in the controller's buffers.
SLOT_CELLS: Final = 8
S_REQUEST: Final = 0
S_ROW: Final = 1
S_WRITE: Final = 2
S_NEXT: Final = 3
S_PREVIOUS: Final = 4
S_COLUMN: Final = 5
S_ACCEPTED: Final = 6
S_CLASSIFIED: Final = 7

# Rank cells.
RANK_CELLS: Final = 24
R_NEXT_PREAB: Final = 0
R_NEXT_REF: Final = 1
R_OPEN: Final = 2  # activated banks
R_COMMAND: Final = 3  # refresh manager: 0 none, PREAB or REFAB
R_TRIGGER: Final = 4  # cycle at which it looks next
R_OWED: Final = 5  # postponed minus pulled-in refreshes
R_PULLING: Final = 6  # it may pull in
R_BLOCKED: Final = 7  # it holds all banks back
R_QUEUED: Final = 8  # requests in the buffers for this rank
R_FAW: Final = 9  # ring of the last four ACTs
R_FAW_HEAD: Final = 13
R_ACTIVE_FROM: Final = 14  # active standby: start, latest precharge and total so far
R_ACTIVE_TO: Final = 15
R_ACTIVE_SUM: Final = 16
R_REFRESH_END: Final = 17
R_REFRESH_DUE: Final = 18

# Timing vector (memory-clock cycles).
T_CL: Final = 0
T_CWL: Final = 1
T_BURST: Final = 2
T_RCD: Final = 3
T_RP: Final = 4
T_RAS: Final = 5
T_RC: Final = 6
T_RTP: Final = 7
T_WR_PRE: Final = 8  # WR to PRE
T_CCD_S: Final = 9
T_CCD_L: Final = 10
T_RRD_S: Final = 11
T_RRD_L: Final = 12
T_WR_RD_S: Final = 13  # WR to RD, same rank
T_WR_RD_L: Final = 14
T_RD_WR: Final = 15  # RD to WR, same rank
T_RD_RD_RANK: Final = 16  # between ranks
T_RD_WR_RANK: Final = 17
T_WR_RD_RANK: Final = 18
T_WR_WR_RANK: Final = 19
T_FAW: Final = 20
T_RFC: Final = 21
T_REFI: Final = 22
TIMINGS: Final = 23

# Geometry vector.
G_RANKS: Final = 0
G_GROUPS: Final = 1  # bank groups per rank
G_BANKS: Final = 2  # banks per bank group
GEOMETRY: Final = 3

# Policy vector: the ten parameters of a controller design.
P_PAGE: Final = 0
P_SCHEDULER: Final = 1
P_BUFFER: Final = 2
P_BUFFER_SIZE: Final = 3
P_RESPONSE: Final = 4
P_REFRESH: Final = 5
P_POSTPONED: Final = 6
P_PULLED_IN: Final = 7
P_ARBITER: Final = 8
P_ACTIVE: Final = 9
POLICIES: Final = 10

PAGE_OPEN: Final = 0
PAGE_OPEN_ADAPTIVE: Final = 1
PAGE_CLOSED: Final = 2
PAGE_CLOSED_ADAPTIVE: Final = 3
SCHED_FIFO: Final = 0
SCHED_FRFCFS_GRP: Final = 1
SCHED_FRFCFS: Final = 2
BUFFER_BANKWISE: Final = 0
BUFFER_READ_WRITE: Final = 1
BUFFER_SHARED: Final = 2
RESPONSE_FIFO: Final = 0
RESPONSE_REORDER: Final = 1
REFRESH_NONE: Final = 0
REFRESH_ALL_BANK: Final = 1
ARBITER_SIMPLE: Final = 0
ARBITER_FIFO: Final = 1
ARBITER_REORDER: Final = 2

# Policy vector of the `ramulator` controller.
Q_SCHEDULER: Final = 0
Q_READS: Final = 1  # entries of the read buffer
Q_WRITES: Final = 2
Q_LOW: Final = 3  # watermarks, percent of the write buffer
Q_HIGH: Final = 4
Q_REFRESH: Final = 5
RAMULATOR_POLICIES: Final = 6
QSCHED_FRFCFS: Final = 0
QSCHED_FRFCFS_ROW_HIT: Final = 1

# Result vector of one design.
O_CYCLES: Final = 0
O_ACT: Final = 1
O_PRE: Final = 2
O_RD: Final = 3
O_WR: Final = 4
O_REF: Final = 5
O_HITS: Final = 6
O_MISSES: Final = 7
O_CONFLICTS: Final = 8
O_ACTIVE: Final = 9  # rank cycles with a bank open
O_LATENCY: Final = 10  # sum over reads, arrival to last data
O_LATENCY_ACCEPTED: Final = 11  # sum over reads, acceptance to last data
O_LATENCY_P99: Final = 12  # nearest-rank 99th percentile over reads, arrival to last data
O_READS: Final = 13
O_PREAB: Final = 14
O_AUTO_PRE: Final = 15
O_COMMANDS: Final = 16
O_PREAB_BANKS: Final = 17  # banks closed by PREA
O_FORWARDED: Final = 18  # reads answered out of the write buffer
O_COALESCED: Final = 19  # writes merged into a buffered one
O_STALL: Final = 20  # first of the stall cells
STALL_COMMAND: Final = 0
STALL_REFRESH: Final = 1
STALL_BANK: Final = 2
STALL_DATA_BUS: Final = 3
STALL_ACTIVATION: Final = 4
STALL_EMPTY: Final = 5
STALLS: Final = 6
OUTPUTS: Final = O_STALL + STALLS

# Answer cells: the state of the way back.
A_ACTIVE_RETURNS: Final = 0  # answers given
A_READ_RETURNS: Final = 1  # answers given to reads
A_NEXT_IN_ORDER: Final = 2  # next request to answer, when answers keep request order
A_LAST_RETURN: Final = 3
ANSWERS: Final = 4
