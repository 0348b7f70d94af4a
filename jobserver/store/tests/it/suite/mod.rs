//! The conformance suite: one promise a function, each given a fresh place. A store passes when all of them hold. A server
//! that this machine does not have is named on standard error, and its promises are not checked.

mod admin;
mod board;
mod dispatch;
mod hand_in;
mod late;
mod ledger;
mod look;
mod replicas;
mod rollouts;
mod statistics;
mod work;

use nightshift_testbed::database::Make;

use crate::place::{MysqlPlace, SqlitePlace};

/// Makes a test of every promise for a kind of store.
macro_rules! conformance {
    ($store:ident, $place:expr, { $($module:ident: $($promise:ident),* $(,)?;)* }) => {
        mod $store {
            $(mod $module {
                $(#[tokio::test]
                async fn $promise() {
                    let Some(place) = $place else { return };
                    crate::suite::$module::$promise(&place).await;
                })*
            })*
        }
    };
}

/// All promises, once for each kind of store.
macro_rules! every_promise {
    ($store:ident, $place:expr) => {
        conformance!($store, $place, {
            hand_in:
                a_batch_can_be_claimed_only_after_its_last_byte,
                records_come_back_as_they_came_in,
                a_worker_gets_the_columns_it_asks_for_in_its_order,
                an_abandoned_batch_leaves_nothing,
                a_hand_in_that_its_server_did_not_survive_is_out_of_sight_at_once_and_removed_later,
                a_batch_or_job_without_records_is_refused,
                a_ragged_record_is_refused_with_its_whole_job,
                a_sealed_batch_is_closed,
                record_numbers_of_a_job_follow_one_another_and_are_never_used_again;
            work:
                the_highest_priority_goes_first_then_the_oldest_batch_then_the_place_in_it,
                a_worker_gets_only_jobs_of_its_plugins,
                claims_at_the_same_time_get_different_jobs,
                the_last_results_finish_the_batch,
                a_claim_and_an_acceptance_outlive_the_server,
                the_same_submission_again_is_acknowledged_and_changes_nothing,
                results_that_do_not_match_the_records_change_nothing,
                a_wrong_secret_changes_nothing,
                an_attempt_that_never_was_is_refused,
                a_stop_is_not_counted_against_the_job,
                a_job_that_fails_too_often_is_quarantined_with_the_reason,
                giving_back_again_is_acknowledged_and_counted_once,
                a_lease_follows_the_measured_time,
                a_lease_follows_the_samples_until_a_job_was_done,
                an_impossible_time_of_work_is_no_reason_to_refuse_results;
            late:
                a_lease_that_ran_out_puts_the_job_back,
                a_heartbeat_keeps_the_lease,
                attempts_the_worker_no_longer_holds_are_lost,
                a_lost_attempt_takes_its_job_up_again_when_nobody_has_it,
                a_lost_attempt_hears_that_somebody_else_has_its_job,
                a_late_attempt_is_accepted_while_the_job_waits_again,
                the_first_of_two_attempts_is_accepted_and_the_other_not_wanted,
                of_two_submissions_at_the_same_time_one_is_accepted,
                a_lost_attempt_may_still_read_its_records_while_they_are_needed,
                a_late_give_back_does_not_touch_the_next_attempt,
                a_clock_that_goes_back_makes_no_lease_longer;
            dispatch:
                a_worker_gets_as_many_jobs_as_it_asks_for_in_their_order,
                a_prefetched_job_has_the_lease_of_the_one_before_it_as_well,
                a_job_goes_only_to_a_worker_that_meets_its_requirements,
                a_job_that_failed_waits_longer_each_time,
                a_job_that_failed_does_not_wait_for_a_clock_that_went_back,
                a_job_that_lost_its_worker_ten_times_is_quarantined,
                leases_are_extended_once_by_the_time_without_a_server,
                of_several_submissions_each_is_judged_by_itself,
                a_result_that_a_database_could_never_take_is_refused_for_good,
                a_machine_may_say_anything_of_itself,
                a_batch_that_fails_too_much_is_suspended_until_it_is_resumed,
                a_batch_whose_errors_are_right_goes_on_when_more_of_them_are_allowed,
                a_worker_that_fails_where_others_succeed_is_drained,
                a_success_by_a_clock_that_went_back_drains_nobody,
                more_jobs_than_the_queue_holds_go_out_in_order,
                what_many_workers_do_at_the_same_time_stays_with_each_of_them;
            admin:
                a_suspended_job_is_lost_to_its_worker_and_resumed_later,
                results_of_a_suspended_job_are_accepted,
                an_edited_job_goes_to_other_workers_at_a_higher_revision,
                an_edit_that_changes_nothing_raises_no_revision,
                a_quarantined_job_is_retried_without_its_failures,
                jobs_of_a_bad_release_are_processed_anew_and_the_old_results_kept,
                a_deleted_job_says_so_among_the_results,
                a_dry_run_changes_nothing,
                a_filter_without_any_part_chooses_nothing,
                a_suspended_batch_hands_out_nothing_and_running_jobs_go_on,
                a_deleted_batch_leaves_nothing,
                a_drained_worker_gets_nothing_until_it_is_resumed,
                jobs_are_found_by_what_they_are,
                a_job_tells_of_every_attempt,
                what_a_job_waits_for_is_known;
            ledger:
                a_key_stands_for_one_batch,
                batches_without_a_key_are_never_one,
                of_hand_ins_with_one_key_at_the_same_instant_one_is_first,
                a_key_is_free_again_when_its_hand_in_broke_off,
                an_input_is_noted_only_while_its_batch_is_handed_in,
                results_are_counted_by_release_and_worker,
                jobs_with_errors_are_found_by_their_places,
                the_speed_of_a_plugin_is_that_of_accepted_work;
            replicas:
                every_claim_carries_the_position_of_its_batch,
                results_keep_the_position_that_their_data_had_reached,
                a_position_that_no_store_could_keep_is_refused,
                results_of_another_primarys_data_change_nothing,
                what_is_not_done_gets_a_position_of_the_new_primary_on_the_record,
                a_job_that_was_claimed_before_a_failover_is_done_again,
                a_batch_that_was_given_up_is_repinned_before_it_is_retried,
                a_deleted_batch_takes_the_record_of_its_positions_with_it,
                so_many_workers_rebuild_at_once_and_the_next_when_one_has_ended,
                a_permit_of_a_worker_that_went_away_runs_out,
                of_several_that_ask_for_a_rebuild_at_the_same_instant_two_may,
                a_failover_that_is_seen_several_times_at_once_is_noted_once,
                a_workers_replica_is_known_as_it_was_reported_last;
            rollouts:
                work_is_counted_by_release_worker_and_plugin,
                work_counts_for_the_release_that_computed_it,
                what_is_known_of_releases_outlives_the_server,
                a_tag_that_names_another_object_begins_anew,
                results_that_are_turned_down_put_the_job_back_at_once;
            board:
                all_batches_are_counted_together,
                batches_are_paged_by_number_and_found_by_where_they_stand,
                workers_are_counted_and_found_as_they_are_shown,
                work_is_counted_by_the_hour_in_which_it_ended,
                a_batch_is_drawn_by_when_its_jobs_were_done,
                errors_that_are_alike_are_counted_together;
            statistics:
                work_is_found_by_hour_day_worker_plugin_and_release,
                a_job_that_was_picked_up_twice_took_from_the_first_time_on,
                a_retried_job_is_counted_anew_with_the_pick_ups_of_its_revision,
                more_lines_than_are_wanted_are_not_told,
                old_hours_become_days_that_say_the_same_and_old_days_go,
                minutes_of_workers_are_counted_once_by_state_and_reason,
                minutes_of_workers_are_counted_on_when_the_clock_went_back,
                a_baseline_is_kept_under_its_name_until_it_is_removed;
            look:
                results_come_in_input_order_job_by_job,
                jobs_come_in_pages_and_tell_their_story,
                batches_come_newest_first,
                the_grid_is_counted,
                a_worker_is_known_by_its_last_report,
                a_worker_that_never_reported_is_known_by_its_work,
                what_does_not_exist_is_not_found;
        });
    };
}

every_promise!(on_sqlite, Some(crate::suite::SqlitePlace::fresh()));
every_promise!(on_mariadb, crate::suite::MysqlPlace::fresh(crate::suite::Make::MariaDb).await);
every_promise!(on_mysql, crate::suite::MysqlPlace::fresh(crate::suite::Make::MySql).await);
