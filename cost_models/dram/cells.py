"""Where each number of a simulated controller lies in the kernels' memory.

All state of a channel but its queue slots is one int64 array `m`, so that a kernel function takes
few arguments and every address is a constant plus a shift. It holds, one after another, the cells
of the controller (`X_`, `Y_`, `Z_`), the timings (`T_`), the cells of each rank (`R_`), the table
of shared limits, lists of banks, and the cells of each bank (`B_`). Bank b's cells begin at
b * BANK_CELLS, rank r's at r * RANK_CELLS: `m[b * BANK_CELLS + B_ROW]`, `m[T_RCD]`. Constants only:
Numba compiles them in.
"""

from __future__ import annotations

from typing import Final

INF: Final = 1 << 60
"""A cycle that never comes."""

NEVER: Final = -(1 << 40)
"""The cycle of an event that has not happened yet."""

MOST_RANKS: Final = 16
MOST_GROUPS: Final = 128
MOST_BANKS: Final = 1024
"""Most ranks, bank groups and banks of a channel."""

MOST_SOURCES: Final = 64
"""Most sources of the requests of a trace."""

# Commands. The two low bits are the timing class, whose shared limits the command obeys.
ACT: Final = 0
RD: Final = 1
WR: Final = 2
PRE: Final = 3
RDA: Final = 5
WRA: Final = 6
PREAB: Final = 7
REFAB: Final = 11
SRE: Final = 15  # self-refresh entry and exit, power-down entry and exit
SRX: Final = 19
PDE: Final = 23
PDX: Final = 27
REFPB: Final = 31  # refresh of one bank; of one bank of every bank group
REFSB: Final = 35
CLASSES: Final = 4

# The controller.
X_RANKS: Final = 0
X_GROUPS: Final = 1
X_PER_RANK: Final = 2
X_QUEUED: Final = 3  # requests in the buffers
X_WRITES: Final = 4  # writes among them
X_LAST_HOME: Final = 5  # bank of the last request stored
X_LAST_WRITE: Final = 6  # direction of the last access
X_FREE: Final = 7  # first free slot
X_ACTIVE: Final = 8  # banks with requests
X_ACCEPTED: Final = 9  # requests accepted so far
X_READS: Final = 10  # reads among them
X_SERVED: Final = 11  # requests accessed so far
X_ARRIVES: Final = 12  # when the next request reaches the controller, INF while unknown
X_SENT: Final = 13  # when the arbiter takes it
X_SENDING: Final = 14  # X_ARRIVES is still to be found
X_TAKEN: Final = 15  # when the arbiter took the last one
X_STORED: Final = 16  # when the controller stored the last one
X_BUS: Final = 17  # first cycle with a free command bus; where there are two, the row bus
X_RESCAN: Final = 18  # the next command is still to be found (`ramulator`)
X_BEST: Final = 19  # bank of the next command; -2 - r: refresh of rank r; -1: none
X_BEST_AT: Final = 20  # its cycle
X_LOOK: Final = 22  # first cycle at which a refresh manager looks
X_TRIGGER: Final = 23  # first such cycle in the future
X_BLOCKED: Final = 24  # ranks whose banks are held back
X_BLOCKED_AT: Final = 25  # cycle at which that began, while its commands may still go out
X_ACCOUNTED: Final = 26  # first cycle not yet in the stall cells
X_ANSWERED: Final = 27  # answers given
X_ANSWERED_READS: Final = 28  # answers given to reads
X_NEXT_ANSWER: Final = 29  # next request to answer, where answers keep request order
X_LAST_ANSWER: Final = 30  # cycle of the last answer
X_PAGE: Final = 31  # the design: its ten parameters
X_SCHEDULER: Final = 32
X_ORGANISATION: Final = 33
X_SIZE: Final = 34
X_IN_ORDER: Final = 35  # answers keep request order
X_LIMITED: Final = 36  # the arbiter limits requests in flight
X_MOST_ACTIVE: Final = 37
X_MOST_POSTPONED: Final = 38
X_MOST_PULLED_IN: Final = 39
X_MOST_READS: Final = 40  # of the trace, 0 without a limit
X_COLUMN_BUS: Final = 41  # first cycle at which RD and WR find their bus free
X_PARTS: Final = 42  # requests that one line of the trace takes
X_CLOCK: Final = 43  # cycle from which a kernel goes on
X_SLOTS: Final = 44  # slots that the buffers may fill

# The `ramulator` controller keeps some cells of its own beside those.
Y_BUFFERED: Final = 48  # reads that wait; the next cell: writes
Y_BUSY: Final = 50  # banks with reads that wait; the next cell: with writes
Y_OPENED: Final = 52  # requests in the active buffer
Y_WRITE_MODE: Final = 53
Y_REFRESHES: Final = 54  # refreshes that wait
Y_REFRESHED: Final = 55  # refreshes done
Y_ROW_HIT_FIRST: Final = 56
Y_ROOM: Final = 57  # places for reads; the next cell: for writes
Y_LOW: Final = 59  # watermarks in percent
Y_HIGH: Final = 60
Y_COMMAND: Final = 61  # the next command
Y_OWN: Final = 62  # first cycle its bank allows it
Y_ROW_CAP: Final = 88  # accesses after which a row is closed, 0: never
Y_DUE: Final = 89  # banks whose row has had them, without a PRE in the queue
Y_DUE_AT: Final = 90  # first cycle at which one of them may get one, or before
Y_CLOSES: Final = 91  # PREs that wait in the queue
Y_CLOSED: Final = 92  # PREs taken from it

# What the `modern` controller adds.
Z_CAP: Final = 64  # row hits that may overtake a bank's oldest request, INF without a limit
Z_DRAINS: Final = 65  # reads go first, writes between the watermarks
Z_LOW: Final = 66  # watermarks, percent of the write buffer times its size
Z_HIGH: Final = 67
Z_WRITE_MODE: Final = 68  # direction that is served now
Z_TIMEOUT: Final = 69  # cycles after which an unused row is closed, 0: never
Z_IDLE: Final = 70  # banks with an open row and no request
Z_HELD: Final = 71  # while X_BEST serves no request: bank of the first command that does
Z_HELD_AT: Final = 72  # its cycle
Z_DOWN: Final = 73  # idle cycles before a rank powers down, 0: never
Z_SELF: Final = 74  # idle cycles before it refreshes itself, INF: never
Z_PARTIAL: Final = 75  # REFPB or REFSB where the design refreshes so, else 0
Z_SETS: Final = 76  # such refreshes that take every bank once; bank b is of set b modulo this
Z_RFC: Final = 77  # their cycle
Z_RECENT: Final = 78  # cycles of each rank's last refreshes, behind the banks, and their number
Z_RECENT_SIZE: Final = 79
Z_BATCH_CAP: Final = 80  # requests of a source and bank in a batch
Z_SOURCES: Final = 81  # sources of the requests
Z_MARKED: Final = 82  # requests of the batch that wait
Z_TAGS: Final = 83  # where, behind the slots, their tags begin: source, + MOST_SOURCES in the batch
TIMED: Final = -2 - MOST_RANKS  # X_BEST of this minus b: bank b's row has timed out

# Timings in memory-clock cycles, from the first cycle of a command to the first of another.
TIMING_BASE: Final = 96
T_CL: Final = TIMING_BASE + 0
T_CWL: Final = TIMING_BASE + 1
T_BURST: Final = TIMING_BASE + 2
T_RCD: Final = TIMING_BASE + 3
T_RP: Final = TIMING_BASE + 4
T_RAS: Final = TIMING_BASE + 5
T_RC: Final = TIMING_BASE + 6
T_RTP: Final = TIMING_BASE + 7
T_WR_PRE: Final = TIMING_BASE + 8  # WR to PRE
T_CCD_S: Final = TIMING_BASE + 9
T_CCD_L: Final = TIMING_BASE + 10
T_RRD_S: Final = TIMING_BASE + 11
T_RRD_L: Final = TIMING_BASE + 12
T_WR_RD_S: Final = TIMING_BASE + 13  # WR to RD, same rank
T_WR_RD_L: Final = TIMING_BASE + 14
T_RD_WR: Final = TIMING_BASE + 15  # RD to WR, same rank
T_RD_RD_RANK: Final = TIMING_BASE + 16  # between ranks
T_RD_WR_RANK: Final = TIMING_BASE + 17
T_WR_RD_RANK: Final = TIMING_BASE + 18
T_WR_WR_RANK: Final = TIMING_BASE + 19
T_FAW: Final = TIMING_BASE + 20
T_RFC: Final = TIMING_BASE + 21
T_REFI: Final = TIMING_BASE + 22
T_CKE: Final = TIMING_BASE + 23
T_CKESR: Final = TIMING_BASE + 24
T_XP: Final = TIMING_BASE + 25
T_XS: Final = TIMING_BASE + 26
T_XSDLL: Final = TIMING_BASE + 27
T_RCD_WR_MORE: Final = TIMING_BASE + 28  # ACT to WR less ACT to RD
T_RP_REF: Final = TIMING_BASE + 29  # PRE to REF
T_RPAB: Final = TIMING_BASE + 30  # PREA to ACT
T_RPAB_REF: Final = TIMING_BASE + 31
T_PPD: Final = TIMING_BASE + 32
T_RC_REF: Final = TIMING_BASE + 33  # ACT to REF
T_CCD_L_WR: Final = TIMING_BASE + 34
T_RFC_ACT: Final = TIMING_BASE + 35  # REF to ACT
T_LENGTH: Final = TIMING_BASE + 36  # cycles of a command on its bus, by timing class
T_BUSES: Final = TIMING_BASE + 40  # 2: RD and WR have a command bus of their own
T_RFC_PB: Final = TIMING_BASE + 41  # 0: no such refresh
T_RFC_SB: Final = TIMING_BASE + 42
T_RREFD: Final = TIMING_BASE + 43
T_PBR2PBR: Final = TIMING_BASE + 44
TIMINGS: Final = 45

# Ranks.
RANK_CELLS: Final = 32
RANK_BASE: Final = TIMING_BASE + 64
R_NEXT_PREAB: Final = RANK_BASE + 0
R_NEXT_REF: Final = RANK_BASE + 1
R_OPEN: Final = RANK_BASE + 2  # activated banks
R_COMMAND: Final = RANK_BASE + 3  # refresh manager: 0 none, PREAB or REFAB
R_TRIGGER: Final = RANK_BASE + 4  # cycle at which it looks next
R_OWED: Final = RANK_BASE + 5  # postponed minus pulled-in refreshes
R_PULLING: Final = RANK_BASE + 6  # it may pull in
R_BLOCKED: Final = RANK_BASE + 7  # it holds all banks back
R_QUEUED: Final = RANK_BASE + 8  # requests in the buffers for this rank
R_FAW: Final = RANK_BASE + 9  # ring of the last four ACTs
R_FAW_HEAD: Final = RANK_BASE + 13
R_ACTIVE_FROM: Final = RANK_BASE + 14  # active standby: start, latest precharge and total so far
R_ACTIVE_TO: Final = RANK_BASE + 15
R_ACTIVE_SUM: Final = RANK_BASE + 16
R_REFRESH_END: Final = RANK_BASE + 17
R_SHARED: Final = RANK_BASE + 18  # first shared limit of its bank groups

# Of `modern` with power-down:
R_SINCE: Final = RANK_BASE + 19  # cycle of the last command
R_USED: Final = RANK_BASE + 20  # of the last RD or WR
R_READY: Final = RANK_BASE + 21  # first cycle at which what was issued lets the rank power down
R_ASLEEP: Final = RANK_BASE + 22  # it refreshes itself
R_ASLEEP_AT: Final = RANK_BASE + 23  # since when
R_AWAKE: Final = RANK_BASE + 24  # end of its last tXP or tXS
R_UP: Final = RANK_BASE + 25  # its last exit, and the output cell of the state that it left
R_STATE: Final = RANK_BASE + 26

# Of `modern`:
R_RECENT: Final = RANK_BASE + 27  # place in the ring of the last refreshes
R_OUTSTANDING: Final = RANK_BASE + 28  # refreshes before it may refresh itself again
R_REMAINDER: Final = RANK_BASE + 29  # of the interval of partial refreshes, in 1 / Z_SETS
R_TARGET: Final = RANK_BASE + 30  # bank that the refresh manager wants to precharge
R_REFRESH_AT: Final = RANK_BASE + 31  # cycle of the partial refresh that it wants, INF without

# Shared limits: per bank group and timing class, the first cycle that rank, group and bus allow.
SHARED_BASE: Final = RANK_BASE + MOST_RANKS * RANK_CELLS
LIMIT_SPAN: Final = 2048  # a power of two above every index of a shared limit

# The banks with requests, unordered. Three columns of one table, so that a search of them reads
# consecutive cells: what the bank wants to serve (trace index of the request, or its priority in a
# batch, and in the low bits the bank), the first cycle that the bank's own timing allows (INF when
# it wants nothing), and the index of the shared limit that its command obeys.
BANK_BITS: Final = 10
REQUEST_BITS: Final = 28  # above them 8 for the priority in a batch
MOST_REQUESTS: Final = 1 << REQUEST_BITS
ORDER_BITS: Final = BANK_BITS + REQUEST_BITS + 8
FAR: Final = (1 << (63 - ORDER_BITS)) - 1  # further in the future no command lies
COLUMN: Final = MOST_BANKS + 8  # no multiple of 4 KiB: such cells get into each other's way
W_ORDER: Final = SHARED_BASE + MOST_GROUPS * CLASSES
W_EARLIEST: Final = W_ORDER + COLUMN
W_LIMIT: Final = W_EARLIEST + COLUMN

# Unordered lists of banks of `ramulator`: with reads, with writes, with a request in the active
# buffer (`modern`: with an open row and no request). The rank of each bank, the hits that overtook
# its oldest request, and the cycle of its last access.
ACTIVE_BASE: Final = W_LIMIT + COLUMN
WRITING_BASE: Final = ACTIVE_BASE + MOST_BANKS
OPENED_BASE: Final = WRITING_BASE + MOST_BANKS
IDLE_BASE: Final = OPENED_BASE
RANK_OF: Final = OPENED_BASE + MOST_BANKS
OVERTAKEN: Final = RANK_OF + MOST_BANKS
USED: Final = OVERTAKEN + MOST_BANKS
DUE_BASE: Final = OVERTAKEN  # of `ramulator`: banks of Y_DUE, unordered; banks of Y_CLOSES, a ring
CLOSE_BASE: Final = USED

# Sources in the batch: rank (0 goes first), requests in all banks, in the bank with most, and in
# the bank looked at.
BATCH_RANK: Final = USED + MOST_BANKS
BATCH_TOTAL: Final = BATCH_RANK + MOST_SOURCES
BATCH_MOST: Final = BATCH_TOTAL + MOST_SOURCES
BATCH_COUNT: Final = BATCH_MOST + MOST_SOURCES

# Banks.
BANK_CELLS: Final = 16
BANK_BASE: Final = BATCH_COUNT + MOST_SOURCES
MOST_RECENT: Final = 16  # refreshes that are remembered of a bank (`modern`)
B_NEXT_ACT: Final = BANK_BASE + 0  # first cycles that the bank's own timing allows
B_NEXT_CAS: Final = BANK_BASE + 1
B_NEXT_RDA: Final = BANK_BASE + 2
B_NEXT_PRE: Final = BANK_BASE + 3
B_ROW: Final = BANK_BASE + 4  # open row, -1 when precharged
B_HEAD: Final = BANK_BASE + 5  # slots of the bank's requests, oldest first
B_TAIL: Final = BANK_BASE + 6
B_COUNT: Final = BANK_BASE + 7
B_HITS: Final = BANK_BASE + 8  # queued requests for the open row
B_FIRST: Final = BANK_BASE + 9  # slot of the oldest of them, -1 when none
B_SLOT: Final = BANK_BASE + 10  # slot of the request the bank works on
B_COMMAND: Final = BANK_BASE + 11  # the command it wants
B_PLACE: Final = BANK_BASE + 12  # its row in the table of banks with requests
B_GROUP: Final = BANK_BASE + 13  # index of the first shared limit of its bank group
B_ACCESSES: Final = B_COMMAND  # of `ramulator`: accesses to the open row
B_QUEUED: Final = BANK_BASE + 14  # a PRE for it is in the queue
B_BEHIND: Final = BANK_BASE + 15  # refreshes that had come before that PRE

# Slots, in an array of their own: one per request in the controller's buffers.
SLOT_CELLS: Final = 8
S_REQUEST: Final = 0
S_ROW: Final = 1
S_WRITE: Final = 2
S_NEXT: Final = 3
S_PREVIOUS: Final = 4
S_COLUMN: Final = 5
S_ACCEPTED: Final = 6
S_CLASSIFIED: Final = 7

# Requests of a channel, in an array of their own.
REQUEST_CELLS: Final = 8
Q_ARRIVAL: Final = 0
Q_HOME: Final = 1  # bank of the channel
Q_ROW: Final = 2
Q_COLUMN: Final = 3
Q_WRITE: Final = 4
Q_SOURCE: Final = 5

# Geometry vector.
G_RANKS: Final = 0
G_GROUPS: Final = 1  # bank groups per rank
G_BANKS: Final = 2  # banks per bank group
G_PARTS: Final = 3  # requests that one line of the trace takes
G_PAIRED: Final = 4  # banks per REFPB
GEOMETRY: Final = 5

# Controllers.
DRAMSYS: Final = 0
MODERN: Final = 1
RAMULATOR: Final = 2

# Policy vector: the ten parameters of a `dramsys` design, and what `modern` adds to them.
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
P_ROW_HIT_CAP: Final = 10
P_WRITE_DRAIN: Final = 11
P_WRITE_LOW: Final = 12  # percent of the write buffer
P_WRITE_HIGH: Final = 13
P_ROW_TIMEOUT: Final = 14
P_POWER_DOWN: Final = 15
P_POWER_DOWN_IDLE: Final = 16
P_SELF_REFRESH_IDLE: Final = 17
P_BATCH_CAP: Final = 18
POLICIES: Final = 19

PAGE_OPEN: Final = 0
PAGE_OPEN_ADAPTIVE: Final = 1
PAGE_CLOSED: Final = 2
PAGE_CLOSED_ADAPTIVE: Final = 3
PAGE_TIMEOUT: Final = 4
SCHED_FIFO: Final = 0
SCHED_FRFCFS_GRP: Final = 1
SCHED_FRFCFS: Final = 2
SCHED_BATCH: Final = 3
BUFFER_BANKWISE: Final = 0
BUFFER_READ_WRITE: Final = 1
BUFFER_SHARED: Final = 2
RESPONSE_FIFO: Final = 0
RESPONSE_REORDER: Final = 1
REFRESH_NONE: Final = 0
REFRESH_ALL_BANK: Final = 1
REFRESH_PER_BANK: Final = 2
REFRESH_SAME_BANK: Final = 3
ARBITER_SIMPLE: Final = 0
ARBITER_FIFO: Final = 1
ARBITER_REORDER: Final = 2
DRAIN_MIXED: Final = 0
DRAIN_WATERMARK: Final = 1
POWER_DOWN_NONE: Final = 0
POWER_DOWN_PLAIN: Final = 1
POWER_DOWN_SELF_REFRESH: Final = 2

# Policy vector of the `ramulator` controller.
RP_SCHEDULER: Final = 0
RP_READS: Final = 1  # entries of the read buffer
RP_WRITES: Final = 2
RP_LOW: Final = 3  # watermarks, percent of the write buffer
RP_HIGH: Final = 4
RP_REFRESH: Final = 5
RP_ROW_CAP: Final = 6  # accesses after which a row is closed, 0: never
RAMULATOR_POLICIES: Final = 7
RSCHED_FRFCFS: Final = 0
RSCHED_FRFCFS_ROW_HIT: Final = 1

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
O_ACTIVE_DOWN: Final = 20  # rank cycles in power-down with a bank open
O_PRECHARGE_DOWN: Final = 21  # with all closed
O_SELF_REFRESH: Final = 22  # rank cycles in self-refresh
O_REFPB: Final = 23
O_REFSB: Final = 24
O_STALL: Final = 25  # first of the stall cells
STALL_COMMAND: Final = 0
STALL_REFRESH: Final = 1
STALL_BANK: Final = 2
STALL_DATA_BUS: Final = 3
STALL_ACTIVATION: Final = 4
STALL_EMPTY: Final = 5
STALL_WAKE: Final = 6
STALLS: Final = 7
OUTPUTS: Final = O_STALL + STALLS

# Result vector of one design and source.
OS_READS: Final = 0
OS_LATENCY: Final = 1  # sum over reads, arrival to last data
OS_LATENCY_P99: Final = 2  # nearest-rank 99th percentile of the same
SOURCE_OUTPUTS: Final = 3
