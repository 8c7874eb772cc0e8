from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from carbonsched.epochs.lines import MOST_OF_A_LINE, EpochCount, EpochLines, Told, Turn


def read(text, pattern=None, pieces=1):
    """What is told when the text comes in pieces of so many characters."""
    lines = EpochLines(re.compile(pattern) if pattern else None)
    parts = [text[at : at + pieces] for at in range(0, len(text), pieces)] if pieces else [text]
    return [told for part in parts for told in lines.feed(part)]


def epochs(text, declared=None, pattern=None, pieces=1):
    """The number and total of each epoch that begins, from 1 as the agent counts."""
    count = EpochCount(declared)
    turns = [count.take(told) for told in read(text, pattern, pieces)]
    return [(turn.epoch + 1, turn.epochs) for turn in turns if turn is not None and turn.begins]


KERAS = (
    "Epoch 1/2\n\x1b[1m1/5\x1b[0m \x1b[32m━━━━\x1b[0m loss: 0.1\b\b\b\r\x1b[1m5/5\x1b[0m\n"
    "\nEpoch 1: val_loss improved from None to 0.5, saving model to best.keras\n"
    "Epoch 2/2\n5/5 - 0s - loss: 0.1\n"
)
LIGHTNING = (
    "Sanity Checking DataLoader 0: 100%|██| 2/2 [00:00<00:00]\r\n"
    "\rEpoch 0:   0%|          | 0/5 [00:00<?, ?it/s]\rEpoch 0:  20%|██        | 1/5\r"
    "Validation DataLoader 0: 100%|███| 5/5\rEpoch 0: 100%|██████████| 5/5 [v_num=0]"
    "\rEpoch 1:   0%|          | 0/5 [00:00<?]`Trainer.fit` stopped: `max_epochs=2` reached.\n"
)
RICH = "\x1b[?25lEpoch 0/1 \x1b[38;5;9m━━━━\x1b[0m 1/5 0:00:01\r\x1b[2K\x1b[1AEpoch 1/1 ━━━ 5/5\n"
IMAGENET = "Epoch: [0][ 10/391]\tTime 0.2\tLoss 6.9\nTest: [0/10]\nEpoch: [1][  1/391]\tTime\n"
DETECTION = "Epoch: [0]  [   0/391]  eta: 0:01:00\nTest:  [0/9]\nEpoch: [1]  [ 0/391]  eta: 0:01\n"
MNIST = "Train Epoch: 1 [0/60000 (0%)]\tLoss: 2.3\n\nTest set: Average loss: 0.05, 9832/10000\n\n"
MNIST += "Train Epoch: 2 [0/60000 (0%)]\tLoss: 0.1\n"
MMENGINE = (
    "10/05 12:00:00 - mmengine - INFO - Epoch(train)  [1][ 50/100]  lr: 1e-2\n"
    "10/05 12:00:09 - mmengine - INFO - Epoch(val) [1][10/10]    acc: 0.5\n"
    "2023-10-05 12:00:20,123 - mmdet - INFO - Epoch(train)  [2][ 50/100]  lr: 1e-2\n"
)
NNUNET = (
    "2026-11-28 10:00:00.123456: Epoch 0 \n2026-11-28 10:00:00.2: Current learning rate: 0.01 \n"
    "2026-11-28 10:09:00.1: train_loss -0.5 \n\n2026-11-28 10:09:00.9: Epoch 1 \n"
)
YOLO = (
    "      Epoch    GPU_mem   box_loss\n\x1b[K        1/2      2.32G     1.234: 10% 1/9\r"
    "\x1b[K        1/2      2.35G     1.2: 100% 9/9\n  Class Images\n        2/2   0.9G   1.2: 1%\n"
)
BRACKETS = "[2026-11-28 10:00:00][root][INFO] Epoch [1/2], Step [1/9]\nINFO: Epoch [2/2], Step\n"
SAID = "EPOCH 1 of 2\nepoch=2 of 2 loss=0.1\n"


@pytest.mark.parametrize("pieces", [0, 1, 7])
@pytest.mark.parametrize(
    ("text", "total"),
    [
        (KERAS, 2), (LIGHTNING, None), (RICH, 2), (IMAGENET, None), (DETECTION, None),
        (MNIST, None), (MMENGINE, None), (NNUNET, None), (YOLO, 2), (BRACKETS, 2), (SAID, 2),
    ],
)  # fmt: skip
def test_the_lines_of_the_frameworks_are_known_in_whatever_pieces_they_come(text, total, pieces):
    begun = epochs(text, pieces=pieces)
    assert [number for number, _ in begun] == [1, 2]
    # Of a piece that ends within "1 of 2", the total is told by a later line.
    assert {of for _, of in begun} <= {total, None}
    assert pieces == 1 or {of for _, of in begun} == {total}
    assert epochs(text, declared=9, pieces=pieces) == [(1, 9), (2, 9)]


@pytest.mark.parametrize(
    "line",
    [
        "Epochs: 100", "epoch_3.pt", "Loaded checkpoint of epoch 5", "Best epoch 3", "Epoch 3.5",
        "Number of epochs 10", "Epoch time: 3.2 s", "Saving at epoch 10", "1/100 steps", "3/100",
        "Epoch 99999999999999999999", "Train: 3", "{'loss': 0.5}", "{'epoch': 1e300}", "epoch", "",
        "Epoch 1/0", "{'epoch': 99999999999.0}",
    ],
)  # fmt: skip
def test_other_lines_begin_no_epoch(line):
    assert epochs(f"{line}\n") == []


def test_a_number_that_may_go_on_is_waited_for():
    lines = EpochLines()
    said = [
        [told.number for told in lines.feed(part)] for part in ("Epo", "ch 1", "2", "/100", " ")
    ]
    assert said == [[], [], [], [], [12]]
    assert [told.number for told in lines.feed("\nEpoch 13\n")] == [12, 13]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Epoch 4/9\nEpoch 5/9\n", [(4, 9), (5, 9)]),
        ("Epoch 4:  1%|\nEpoch 5:  1%|\n", [(5, None), (6, None)]),
        ("Epoch(train) [4][5/9]\n", [(4, None)]),
        ("{'loss': '0.1', 'epoch': '4.01'}\n", [(5, None)]),
    ],
)
def test_one_that_goes_on_from_a_checkpoint_counts_as_such_lines_do(text, expected):
    assert epochs(text) == expected


def turns(numbers, declared=None):
    count = EpochCount(declared)
    return [count.take(Told(number)) for number in numbers]


def test_only_the_next_number_says_that_the_one_before_was_whole():
    assert turns([1, 1, 2, 1, 4]) == [
        Turn(0, None, ends=False, begins=True), None,
        Turn(1, None, ends=True, begins=True), None,
        Turn(3, None, ends=False, begins=True),
    ]  # fmt: skip
    assert turns([0, 1, 2], declared=2)[2] == Turn(2, 2, ends=True, begins=False)


def test_the_trainer_tells_how_much_is_done():
    count = EpochCount()
    said = [
        f"{{'loss': 0.5, 'grad_norm': 1.0, 'epoch': {done}}}\n"
        for done in ("0.5", "1.0", "1.0", "1.5", "2.01", "3.4", "4.0")
    ]
    taken = [count.take(told) for told in read("".join(said), pieces=0)]
    assert [turn and (turn.epoch, turn.ends, turn.begins) for turn in taken] == [
        (0, False, False), (1, True, True), None, None, (2, True, True), (3, False, False),
        (4, True, True),
    ]  # fmt: skip


# As fastprogress 1.0.3 and 1.1.6 write it, with NO_BAR and without
HEADER = "█\repoch     train_loss  valid_loss  accuracy  time    \n"
ROWS = (
    "█\r█\r0         0.812345    0.534210    0.812000  00:12     \n",
    "█\r█\r1         nan         None        0.910000  1:00:12   \n",
    "█\r█\r2         -0.512345   inf         1234.56789000:12     \n",
)
BARS = tuple(
    f"█\r\rEpoch {number}/3 : |----| 0.00% [0/3 00:00<?]\r\rEpoch {number}/3 : |████| 100.00%"
    f" [3/3 00:00<00:00]\r\rEpoch {number}/3 :        \r"
    for number in (1, 2, 3)
)  # fmt: skip


def taken(text, declared=None, pieces=0):
    """Each turn as (epoch from 1, number of epochs, whether the one before ends, one begins)."""
    count = EpochCount(declared)
    turns = [count.take(told) for told in read(text, pieces=pieces)]
    return [(one.epoch + 1, one.epochs, one.ends, one.begins) for one in turns if one is not None]


@pytest.mark.parametrize("pieces", [0, 1, 7])
def test_with_the_header_of_a_table_an_epoch_begins_and_with_each_row_one_ends(pieces):
    table = HEADER + "a warning of something else\n".join(ROWS)
    assert taken(table, pieces=pieces) == [
        (1, None, False, True), (2, None, True, True), (3, None, True, True),
        (4, None, True, True),
    ]  # fmt: skip
    assert taken(table, declared=3, pieces=pieces) == [
        (1, 3, False, True), (2, 3, True, True), (3, 3, True, True), (4, 3, True, False),
    ]  # fmt: skip


@pytest.mark.parametrize("pieces", [0, 1, 7])
def test_bars_beside_a_table_tell_how_many_epochs_there_are(pieces):
    table = HEADER + "".join(bar + row for bar, row in zip(BARS, ROWS, strict=True))
    assert taken(table, pieces=pieces) == [
        (1, None, False, True), (2, 3, True, True), (3, 3, True, True), (4, 3, True, False),
    ]  # fmt: skip


def test_a_second_table_counts_on():
    one, last = (f"█\r0         0.8{n}2345    0.534210    0.812000  00:12     \n" for n in (1, 2))
    assert taken(HEADER + one + HEADER + last + ROWS[1]) == [
        (1, None, False, True), (2, None, True, True),
        (2, None, False, True), (3, None, True, True), (4, None, True, True),
    ]  # fmt: skip
    assert taken(HEADER + one + HEADER + last, declared=2)[-1] == (3, 2, True, False)


def test_rows_that_are_missing_are_not_guessed():
    assert taken(HEADER + "0         00:00     \n" + ROWS[2]) == [
        (1, None, False, True), (4, None, False, True),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        "".join(ROWS),
        "epoch,train_loss,valid_loss,accuracy,time\n0,0.812345,0.534210,0.812000,00:12\n",
        "   epoch  train_loss  valid_loss\n0      0    0.812345    0.534210\n",
        "epoch  train_loss  valid_loss\n    0    0.812345    0.534210\n",
        "epoch     loss      time    \n0         0.812345  00:12     \n",
        "epoch     train_loss  valid_loss  accuracy  time in all\n" + ROWS[0],
        HEADER.rstrip() + " (see below)\n" + ROWS[0],
    ],
    ids=["rows alone", "csv", "a frame", "a frame's values", "other names", "more", "in words"],
)
def test_other_tables_tell_no_epochs(text):
    assert taken(text) == []


def test_a_table_tells_only_rows():
    assert len(taken(f"{HEADER}0         12\n0         0.81\n1  2  3 00:12\n")) == 1


def test_where_other_lines_tell_the_epochs_a_table_at_the_end_is_none():
    assert taken("Epoch 1/2\nEpoch 2/2\n" + HEADER + "".join(ROWS)) == [
        (1, 2, False, True), (2, 2, True, True),
    ]  # fmt: skip


def test_a_users_pattern_wins():
    text = "Epoch 1/5\nround 3 of 7: x\nround 4 of 7: x\n"
    pattern = r"round (?P<epoch>\d+) of (?P<epochs>\d+)"
    assert epochs(text, pattern=pattern) == [(3, 7), (4, 7)]
    assert epochs("it 0;\nit 1;\n", pattern=r"it (?P<epoch>\d+)") == [(1, None), (2, None)]
    assert epochs("it x;\n", pattern=r"it (?P<epoch>\w)(?P<epochs>\d)?") == []


def test_a_line_without_an_end_takes_no_more_memory_nor_time():
    lines = EpochLines()
    for _ in range(200):
        assert list(lines.feed("[x] 12:00 " * 2000)) == []
    assert len(lines._text) == MOST_OF_A_LINE
    assert [told.number for told in lines.feed("\rEpoch 7\n")] == [7]


@given(st.text(), st.integers(0, 5))
def test_any_text_is_read_the_same_in_whatever_pieces(text, pieces):
    numbers = [told.number for told in read(text, pieces=pieces)]
    assert all(0 <= number <= 10_000_000 for number in numbers)


@given(st.integers(1, 9999), st.integers(0, 1), st.sampled_from(["\n", "\r", " x\r\n"]))
def test_numbers_are_whole_however_cut(first, base, end):
    text = "".join(f"Epoch {number + base}{end}" for number in range(first))
    assert epochs(text, pieces=3) == [(number + 1, None) for number in range(first)]
