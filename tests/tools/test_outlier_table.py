"""The table of outlier channels on a few tokens."""

import outlier_table


def test_integers_with_one_scale_fail_and_smoothing_restores_them(capsys):
    outlier_table.main(["--tokens", "256"])
    title, _, head, _, *rows = capsys.readouterr().out.splitlines()
    plain = float(title.split()[1])
    assert head.split("|")[2:7] == [
        *(" no outliers ", " 8 ", " 32 ", " 128 ", " 128, smoothed by 0.5 "),
    ]
    told = {row.split("|")[1].strip(): [float(x) for x in row.split("|")[2:7]] for row in rows}
    assert len(told) == 7
    integer, floating = told["INT8 per tensor"], told["FP8 E4M3 per tensor"]
    assert integer[3] > 10 * plain > 10 / 1.05 * integer[4]
    assert max(floating) < 1.05 * plain
