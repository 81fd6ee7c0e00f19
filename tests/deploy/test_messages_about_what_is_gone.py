"""A message about what is not there, as a broker has after a restore, is no error."""

import inspect
import logging

import pytest
from celery import Task

import consent.tasks
import governance.tasks
import lineage.tasks
from governance.models import LedgerRecord

pytestmark = pytest.mark.django_db

GONE = 2**40


def tasks() -> dict[str, Task]:
    """Return every task of the apps by its name."""
    modules = (consent.tasks, lineage.tasks, governance.tasks)
    found = [each for module in modules for each in vars(module).values()]
    return {each.name: each for each in found if isinstance(each, Task)}


def named(task: Task) -> list[str]:
    """Return what a message to a task names."""
    return list(inspect.signature(task.run).parameters)


ABOUT_SOME = sorted(name for name, task in tasks().items() if named(task))


def test_a_message_names_things_of_one_kind_by_their_keys_or_nothing():
    assert len(ABOUT_SOME) >= 11
    assert all(named(tasks()[name])[0].endswith(("_id", "_ids")) for name in ABOUT_SOME)
    assert {len(named(tasks()[name])) for name in ABOUT_SOME} == {1}


@pytest.mark.parametrize("name", ABOUT_SOME)
def test_a_task_about_what_is_not_there_returns_quietly(name, caplog):
    with caplog.at_level(logging.INFO):
        ended = tasks()[name].apply(args=[GONE])
    assert (ended.state, bool(ended.result)) == ("SUCCESS", False)
    assert [each for each in caplog.records if each.levelno >= logging.WARNING] == []
    assert not LedgerRecord.objects.exists()
