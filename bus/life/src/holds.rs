//! What holds, by configuration. The heavy ones run on demand: `cargo test -p framebus-life -- --ignored --nocapture`.

use crate::kernel::Geometry::{A, B};
use crate::scenario::Scenario;
use crate::world::Process;

fn opener_a() -> Process {
    Process::opener(A, 1)
}

fn opener_b() -> Process {
    Process::opener(B, 1)
}

fn subscriber() -> Process {
    Process::subscriber()
}

fn remover() -> Process {
    Process::remover(false)
}

fn forced() -> Process {
    Process::remover(true)
}

#[test]
fn a_publisher_may_be_killed_at_every_step() {
    Scenario::of(&[Process::opener(A, 2), Process::opener(A, 2)]).kills(2).holds();
}

#[test]
fn two_openers_race_and_two_processes_are_killed() {
    Scenario::of(&[opener_a(), opener_a(), subscriber()]).kills(2).holds();
}

#[test]
fn an_epoch_ends_and_two_processes_are_killed() {
    Scenario::of(&[opener_a(), opener_b(), subscriber()]).kills(2).holds();
}

#[test]
fn a_removal_races_with_two_openers_and_two_processes_are_killed() {
    Scenario::of(&[opener_a(), opener_b(), remover()]).kills(2).holds();
}

#[test]
fn a_forced_removal_races_with_a_subscriber() {
    Scenario::of(&[opener_a(), subscriber(), forced()]).kills(2).holds();
}

#[test]
fn two_subscribers_come_and_go() {
    Scenario::of(&[opener_a(), subscriber(), subscriber()]).kills(1).holds();
}

#[test]
fn an_open_fails_at_any_call_that_needs_memory() {
    Scenario::of(&[opener_a(), opener_b(), remover()]).kills(1).failures(1).holds();
}

#[test]
fn a_stream_stays_where_another_geometry_can_not_be_had() {
    Scenario::of(&[opener_a(), opener_b(), subscriber()]).kills(1).no_memory_for(B).holds();
}

#[test]
fn a_living_publisher_changes_the_size_and_two_processes_are_killed() {
    Scenario::of(&[Process::opener(A, 2), opener_a(), subscriber()]).resizes().kills(2).holds();
}

#[test]
fn a_change_of_size_fails_at_any_call_that_needs_memory() {
    Scenario::of(&[Process::opener(A, 2), subscriber()]).resizes().kills(1).failures(2).holds();
}

#[test]
fn a_stream_goes_on_where_there_is_no_memory_for_larger_frames() {
    Scenario::of(&[Process::opener(A, 2), subscriber()]).resizes().kills(1).no_memory_for(B).holds();
}

#[test]
fn the_set_is_removed_under_a_publisher_that_changes_the_size() {
    Scenario::of(&[Process::opener(A, 2), subscriber()]).resizes().kills(1).set_removals(1).holds();
}

#[test]
fn the_set_is_removed_under_two_openers() {
    Scenario::of(&[opener_a(), opener_b()]).kills(1).set_removals(1).holds();
}

#[test]
fn a_publisher_that_was_robbed_comes_back_behind_its_successors() {
    Scenario::robbed_and_behind().holds();
}

#[test]
fn the_set_is_removed_under_a_publisher_and_a_subscriber() {
    Scenario::of(&[opener_a(), subscriber()]).kills(1).set_removals(2).holds();
}

#[test]
fn the_set_is_removed_under_a_subscriber_and_a_removal() {
    Scenario::of(&[opener_a(), subscriber(), remover()]).set_removals(1).holds();
}

#[test]
fn a_segment_is_removed_by_hand_under_a_publisher_and_a_subscriber() {
    Scenario::of(&[opener_a(), subscriber()]).kills(1).segment_removals(2).holds();
}

#[test]
fn a_segment_is_removed_by_hand_under_two_openers() {
    Scenario::of(&[opener_a(), opener_b()]).kills(1).segment_removals(1).holds();
}

#[test]
fn set_and_segments_are_removed_by_hand_under_a_removal() {
    Scenario::of(&[opener_a(), remover()]).kills(1).set_removals(1).segment_removals(1).holds();
}

#[test]
fn the_set_is_removed_under_a_publisher_and_two_subscribers() {
    Scenario::of(&[opener_a(), subscriber(), subscriber()]).kills(1).set_removals(1).holds();
}

#[test]
#[ignore = "millions of states, minutes on a busy machine"]
fn the_set_is_removed_while_an_epoch_ends() {
    Scenario::of(&[opener_a(), opener_b(), subscriber()]).set_removals(1).holds();
}

#[test]
#[ignore = "millions of states, minutes on a busy machine"]
fn the_set_is_removed_under_two_openers_and_a_removal() {
    Scenario::of(&[opener_a(), opener_a(), remover()]).set_removals(1).holds();
}

#[test]
fn all_kinds_of_processes_race_and_one_is_killed() {
    Scenario::of(&[opener_a(), opener_b(), subscriber(), remover()]).kills(1).holds();
}

#[test]
#[ignore = "millions of states, minutes on a busy machine"]
fn all_kinds_of_processes_race_and_two_are_killed() {
    Scenario::of(&[opener_a(), opener_b(), subscriber(), remover()]).kills(2).holds();
}
