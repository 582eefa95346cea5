"""Phases and items that claim resources and paths: who gets them when, and what goes on meanwhile."""

from __future__ import annotations

import pytest


class TestPhases:
    """A phase holds its claims from the first item that is sent until it closes."""

    def test_two_that_exclude_each_other_take_turns(self, talk) -> None:
        """The worker that cannot have an item of 2 goes on with 3."""
        run = talk("1[db] 2[db] 3", "1*2 2*2 3*2", workers="w1 w2")
        assert run.opening[3:] == ["1 holds db", "w1: 0", "2 waits for 1: db", "w2: 4"]
        assert run.ends(0) == ["w1: 1"]
        assert run.ends(1) == ["1 green", "1 lets db go", "2 holds db", "w1: 2"]
        assert run.ends(4) == ["w2: 5"]

    def test_its_own_items_share_them(self, talk) -> None:
        """They run side by side, also those that claim a part of it for themselves."""
        run = talk("1[db]", "1*2[~db]", workers="w1 w2")
        assert run.opening == [
            "1 open",
            "1 holds db",
            "#0 holds db (shared) on w1",
            "w1: 0",
            "#1 holds db (shared) on w2",
            "w2: 1",
        ]

    def test_readers_of_a_path_share_it(self, talk) -> None:
        """Nobody writes what they read."""
        run = talk("1[~src/] 2[~src/] 3[src/a/]", "1 2 3", workers="w1 w2 w3")
        assert run.opening[3:] == [
            "1 holds src/ (shared)",
            "w1: 0",
            "3 waits for 1: src/a/",
            "2 holds src/ (shared)",
            "w2: 1",
        ]

    def test_a_stream_needs_those_of_its_phase(self, talk) -> None:
        """They share what the phase claims, and exclude one another by what they claim themselves."""
        run = talk("1[db] 1/A[db] 1/B[net] 1/C[net]", "1/A 1/B 1/C", workers="w1 w2 w3")
        assert run.opening[4:] == [
            "1 holds db",
            "1/A holds db",
            "w1: 0",
            "1/B holds net",
            "w2: 1",
            "1/C waits for 1/B: net",
        ]
        assert run.ends(1) == ["1/B green", "1/B lets net go", "1/C holds net", "w2: 2"]

    def test_crosswise_ones_are_apart_as_wholes(self, talk) -> None:
        """An item of 2 claims what 1 holds: 2 does not begin, though its own claims are free."""
        run = talk("1[a] 2[b]", "1*2 2 2[a]", workers="w1 w2", schedule="flow")
        assert run.opening[2:] == ["1 holds a", "w1: 0", "2 waits for 1: b", "w2: 1"]
        assert run.ends(0) == []
        assert run.ends(1)[:3] == ["1 green", "1 lets a go", "2 holds b"]

    def test_one_that_became_red_lets_them_go_when_it_closes(self, talk) -> None:
        """Red or green, it is over."""
        run = talk("1[db] 2[db]", "1*2 2", workers="w1")
        assert run.ends(0, outcome="failed") == ["1 failing"]
        assert run.ends(1) == ["1 red", "1 lets db go", "2 holds db", "w1: 2"]


class TestItems:
    """An item holds its claims while it is at a worker."""

    def test_those_with_the_same_lock_run_one_after_another(self, talk) -> None:
        """They come before those without, are sent alone, and the other worker does not wait."""
        run = talk("1", "1*3 1*3[db]", workers="w1 w2")
        assert run.opening == [
            "1 open",
            "#3 holds db on w1",
            "w1: 3",
            "#4 waits for #3: db",
            "w2: 0",
            "w2: 1",
        ]
        assert run.ends(3) == ["#3 lets db go", "#4 holds db on w1", "w1: 4"]

    def test_who_shares_does_not_overtake_who_waits(self, talk) -> None:
        """Readers do not starve a writer."""
        run = talk("1", "1[~db] 1[db] 1*3[~db]", workers="w1 w2 w3")
        assert run.opening[1:] == [
            "#0 holds db (shared) on w1",
            "w1: 0",
            "#1 waits for #0: db",
            "#2 waits for #1: db (shared)",
        ]
        assert run.ends(0) == ["#0 lets db (shared) go", "#1 holds db on w1", "w1: 1"]
        assert [said for said in run.ends(1) if said.startswith("w")] == ["w1: 2", "w2: 3", "w3: 4"]

    def test_stages_come_first(self, talk) -> None:
        """With claims or without, then tests with claims, then all others."""
        run = talk("1", "1*2 1[db] 1:a 1:b[db]")
        assert run.opening[-1] == "w1: 3"
        assert run.ends(3)[-1] == "w1: 4"
        assert run.ends(4)[-1] == "w1: 2"
        assert run.ends(2)[-1] == "w1: 0 1"

    def test_a_worker_is_not_given_more_while_one_could_go(self, talk) -> None:
        """It runs what it has, gets the item, and the rest after that."""
        run = talk("1", "1*20")
        assert run.opening[-1] == "w1: 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15"
        assert run.finds("1[db]") == []
        assert run.ends(*range(15)) == []
        assert run.ends(15) == ["#20 holds db on w1", "w1: 20"]
        assert run.ends(20) == ["#20 lets db go", "w1: 16 17 18"]

    def test_another_phase_waits_for_one_that_runs(self, talk) -> None:
        """And an item for a phase."""
        run = talk("1 2[db] 3", "1[db] 2 3[db]", workers="w1 w2", schedule="flow")
        assert run.opening[3:] == [
            "#0 holds db on w1",
            "w1: 0",
            "2 waits for #0: db",
            "#2 waits for #0: db",
        ]
        assert run.ends(0)[2:] == ["2 holds db", "w1: 1"]
        assert run.ends(1)[2:] == ["#2 holds db on w1", "w1: 2"]

    def test_a_worker_that_is_gone_holds_nothing(self, talk) -> None:
        """What it had not begun goes back with its lock, to stand first."""
        run = talk("1", "1*2[db]", workers="w1 w2")
        assert run.dies("w1") == ["#0 lets db go", "#1 lets db go", "#0 holds db on w2", "w2: 0"]
        assert run.dies("w2", running=0) == ["#0 lets db go", "1 failing"]
        assert run.joins("w3") == ["#1 holds db on w3", "w3: 1"]

    def test_one_that_is_lost_no_longer_waits(self, talk) -> None:
        """It is no longer collected, so nobody has to wait for it."""
        run = talk("1", "1[~db] 1[db] 1[~db]", workers="w1 w2")
        assert run.loses(1) == ["#1 lets db go", "#2 holds db (shared) on w2", "w2: 2"]


class TestWaiting:
    """Nobody waits for somebody who could not run."""

    def test_a_phase_that_is_blocked_leaves_the_line(self, talk) -> None:
        """Phase 3 came after it, and gets the lock as soon as it is free."""
        run = talk("1[db] 2[db] 3[db]", "1 2 3", workers="w1 w2", schedule="flow")
        assert run.opening[-2:] == ["2 waits for 1: db", "3 waits for 1: db"]
        assert run.fails("2", "no file", for_all=True)[-2:] == ["2 red", "2 lets db go"]
        assert run.ends(0)[2:] == ["3 holds db", "w1: 2"]

    def test_one_that_holds_yields_to_nobody_outside(self, talk) -> None:
        """Item 2 of phase 2 waits for 1 to be over; it would be a circle if 1 waited for item 2."""
        run = talk("1[net] 2", "1*2 2[net,db]", workers="w1 w2 w3")
        assert run.opening[-2:] == ["#2 waits for 1: net, db", "w2: 1"]
        assert run.finds("1[db]") == ["#3 holds db on w3", "w3: 3"]

    def test_two_that_find_items_late_do_not_wait_for_ever(self, talk) -> None:
        """Each claims what the other holds: when nothing runs, the last one lets go and waits again."""
        run = talk("1[a] 2[b]", "1 2", workers="w1 w2")
        assert run.finds("1[b] 2[a]") == []
        assert run.ends(0) == ["#2 waits for 2: b", "#3 waits for 1: a"]
        assert run.ends(1) == ["2 lets b go", "2 waits for 1: b", "#2 holds b on w1", "w1: 2"]
        assert run.ends(2)[1:4] == ["1 green", "1 lets a go", "#3 lets a go"]
        assert run.ends(3)[-3:] == ["2 green", "wave 1 closed", "2 lets b go"]

    def test_one_whose_item_needs_another_phase_does_not_wait_for_ever(self, talk) -> None:
        """What it needs claims what the phase itself holds."""
        run = talk("1[a] 2", "1 1<2 2[a]", workers="w1 w2")
        assert run.opening[-1] == "#2 waits for 1: a"
        assert run.ends(0) == ["1 lets a go", "#2 holds a on w1", "w1: 2"]
        assert run.ends(2)[2:] == ["1 holds a", "w1: 1"]

    def test_a_serial_phase_takes_its_turn_beside_one_that_holds(self, talk) -> None:
        """Phase 1 is open and holds db, and nothing of it is ready: its stream needs the serial one."""
        run = talk("1[db] 1/A! 1/B<1/A", "1 1/A 1/B", workers="w1 w2")
        assert run.ends(0) == ["w1: 1"]

    def test_a_serial_phase_waits_for_what_it_will_claim(self, talk) -> None:
        """Beside it phase 1 could not go on and let go what an item of 2 claims."""
        run = talk("1[db] 2!", "1*2 2 2[db]", workers="w1")
        assert run.opening[-1] == "w1: 0 1"
        assert run.ends(0) == []
        assert run.ends(1)[:2] == ["1 green", "1 lets db go"]

    def test_unphased_tests_go_on_while_a_serial_phase_waits_for_a_lock(self, talk) -> None:
        """It could not have its turn anyway."""
        run = talk("1[db] 2![db]", "1 2 unphased", workers="w1 w2")
        assert run.opening[-3:] == ["1 holds db", "w1: 0", "w2: 2"]

    def test_unphased_tests_come_last(self, talk) -> None:
        """One that waits is overtaken by a phase."""
        run = talk("1 2<1", "1[db] 2[db] unphased[db]", workers="w1 w2", schedule="flow")
        assert run.opening[-1] == "#2 waits for #0: db"
        assert run.ends(0)[-2:] == ["#1 holds db on w1", "w1: 1"]

    def test_a_stopped_run_lets_go_what_nothing_runs_under(self, talk) -> None:
        """What is in flight keeps its locks until it ends."""
        run = talk("1[db] 2[db]", "1 2", workers="w1 w2")
        assert run.stops() == ["1 interrupted", "2 interrupted", "2 lets db go"]
        assert run.ends(0) == ["1 lets db go"]


class TestOtherRuns:
    """What this run could grant is asked for of the others on the machine."""

    def test_other_work_goes_on_meanwhile(self, talk) -> None:
        """The phase begins when the answer comes."""
        run = talk("1[db] 2", "1 2*2", external=True)
        assert run.opening[2:] == ["1 waits for another run: db", "acquire 1: db", "w1: 1 2"]
        assert not run.core.waiting_for_others
        assert run.acquires("1") == ["1 holds db"]
        assert run.ends(1) == ["w1: 0"]
        assert run.ends(2, 0)[-2:] == ["1 lets db go", "release 1"]

    def test_a_stream_whose_phase_has_let_go_is_in_nobodys_way(self, talk) -> None:
        """Phase 1 waits for item 4, which came after stream 1/A: that now has the place of phase 1."""
        plan, items = "1[a] 1/B 1/A<1/B[x] 2", "1/B 1/A 2"
        run = talk(plan, items, workers="w1 w2", schedule="flow", external=True)
        run.acquires("1")
        run.finds("1/A[z]")
        assert run.ends(0)[-1] == "1/A waits for 1: x, z"
        assert run.finds("2[x]") == ["#4 waits for 1: x"]
        assert run.ends(2)[-2:] == ["1 waits for #4: a, z, x", "acquire #4: x"]
        run.acquires(4)
        assert run.ends(4)[-1] == "acquire 1: a, z, x"
        assert run.acquires("1")[-2:] == ["w1: 3", "w2: 1"]

    def test_who_waited_for_what_nobody_wants_any_more_waits_no_longer(self, talk) -> None:
        """The item whose claims phase 2 waited for is gone: that is said, once."""
        run = talk("1[db] 2!", "1*2 2 2[db]", workers="w1 w2", external=True)
        assert run.opening[-1] == "2 waits for 1: db"
        run.acquires("1")
        run.loses(3)
        assert run.ends(0, 1)[-2:] == ["2 lets db go", "w1: 2"]
        assert run.ends(2) == ["2 green", "wave 1 closed"]

    def test_a_run_with_nothing_else_to_do_waits(self, talk) -> None:
        """It is not over, and it says what it waits for."""
        run = talk("1[db]", "1", external=True)
        assert run.core.waiting_for_others
        assert not run.core.finished
        assert run.acquires("1") == ["1 holds db", "w1: 0"]
        assert not run.core.waiting_for_others

    def test_a_phase_asks_for_what_its_items_claim(self, talk) -> None:
        """Once, for all of them: no other run can wait for one half and hold the other."""
        run = talk("1[db]", "1[net,~db] 1[~src/]", workers="w1", external=True)
        assert run.opening[-1] == "acquire 1: db, net, src/ (shared)"
        assert run.acquires("1")[1:] == ["#0 holds net, db (shared) on w1", "w1: 0"]

    def test_what_it_could_not_foresee_is_asked_for_anew(self, talk) -> None:
        """It lets go what it has, between two items, and asks for all of it."""
        run = talk("1[db]", "1", external=True)
        run.acquires("1")
        assert run.finds("1[net]") == []
        assert run.ends(0)[-4:] == [
            "1 lets db go",
            "release 1",
            "1 waits for another run: db, net",
            "acquire 1: db, net",
        ]
        assert run.acquires("1")[-1] == "w1: 1"

    def test_an_item_asks_when_a_worker_is_free(self, talk) -> None:
        """No more are asked for than could run, and others are sent until the answer comes."""
        run = talk("1", "1[a] 1[b] 1", external=True)
        assert run.opening[1:] == ["#0 waits for another run: a", "acquire #0: a", "w1: 2"]
        assert run.acquires(0) == []
        assert run.ends(2) == ["#0 holds a on w1", "w1: 0"]
        assert run.ends(0)[:2] == ["#0 lets a go", "release #0"]

    @pytest.mark.parametrize("how", ["blocked", "stopped"])
    def test_what_has_become_of_no_use_is_given_up(self, talk, how: str) -> None:
        """An answer that comes too late changes nothing."""
        run = talk("1[db]", "1", external=True)
        said = run.stops() if how == "stopped" else run.fails("1", "no file", for_all=True)
        assert said[-2:] == ["1 lets db go", "release 1"]
        assert run.acquires("1") == []
        assert run.core.finished
        assert not run.core.waiting_for_others

    def test_who_had_to_wait_in_this_run_asks_then(self, talk) -> None:
        """It is said once that it waits."""
        run = talk("1[db] 2[db]", "1 2", external=True)
        assert run.opening[-1] == "2 waits for 1: db"
        run.acquires("1")
        assert run.ends(0)[-2:] == ["release 1", "acquire 2: db"]


def test_ten_thousand_that_wait_for_one_lock(talk) -> None:
    """One of them stands in line for all."""
    run = talk("1", "1*10000[db]", workers="w1 w2")
    assert run.opening[1:] == ["#0 holds db on w1", "w1: 0", "#1 waits for #0: db"]
    assert run.ends(*range(10_000))[-3:] == ["#9999 lets db go", "1 green", "wave 1 closed"]
