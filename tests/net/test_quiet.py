"""What is held back in the block is heard again behind it."""

from __future__ import annotations

import logging

import pooch
import pytest

from pleura.net.quiet import quiet


def test_records_below_the_level_are_held_back_in_the_block(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = logging.getLogger("pleura.test.quiet")
    logger.setLevel(logging.INFO)
    with quiet("pleura.test.quiet"):
        logging.getLogger("pleura.test.quiet.child").info("held back")
        logger.info("held back")
        logger.warning("heard")
    logger.info("heard again")
    assert caplog.messages == ["heard", "heard again"]
    assert logger.level == logging.INFO


def test_a_logger_that_has_no_registered_name_is_given_itself() -> None:
    before = pooch.get_logger().level
    with quiet(pooch.get_logger()):
        assert pooch.get_logger().level == logging.WARNING
    assert pooch.get_logger().level == before


def test_the_levels_come_back_after_an_error() -> None:
    before = logging.getLogger().level
    with pytest.raises(ZeroDivisionError), quiet("", below=logging.ERROR):
        raise ZeroDivisionError
    assert logging.getLogger().level == before
