//! Every case by name, so that each is a test of its own. A test holds this list equal to the suite's.

/// Calls a macro with the names of all cases.
macro_rules! each_case {
    ($call:ident) => {
        $call! {
            a_new_job_is_queued_with_gen_1_and_due_in_the_outbox_after_its_grace
            a_job_for_later_is_scheduled
            a_due_time_in_the_past_means_now
            a_job_with_parents_is_blocked
            the_same_job_again_is_the_existing_one
            the_existing_job_is_answered_as_it_stands_now
            an_id_with_another_envelope_is_a_conflict
            an_idempotency_key_is_the_id
            a_batch_is_answered_in_its_order
            the_same_job_twice_in_a_batch_is_recorded_once
            a_batch_of_256_jobs_is_recorded
            every_reply_names_the_same_epoch_of_a_shard
            shards_are_apart
            the_envelope_and_the_view_keep_what_was_given
            a_published_dispatch_leaves_the_outbox
            a_mark_of_an_older_gen_does_nothing
            a_mark_after_the_claim_does_nothing
            a_mark_of_a_waiting_or_unknown_job_does_nothing
            due_rows_are_leased_for_thirty_seconds
            rows_in_flight_extend_their_lease
            a_refused_row_comes_again_when_it_was_put_off_to
            the_outbox_is_leased_in_bites_the_most_urgent_first
            a_claimed_job_leaves_the_outbox
            a_due_job_is_promoted_with_a_new_gen_and_already_leased
            a_retry_is_promoted_with_its_counts
            promotion_takes_bites
            concurrent_sweeps_lease_each_row_once
            age_alone_never_republishes
            a_job_below_the_watermark_is_republished_with_its_gen
            a_job_published_after_the_watermark_stays
            a_watermark_speaks_for_its_queue_and_priority_alone
            a_paused_queue_is_never_audited
            a_republished_job_is_ready_again
            a_republish_that_fails_is_tried_again_from_the_outbox
            what_is_not_queued_is_not_audited
            a_queued_job_with_the_same_gen_runs
            a_job_that_is_not_yet_marked_published_runs
            an_unknown_job_is_missing_with_the_epoch_of_its_shard
            a_tombstone_is_over
            an_ended_job_is_over
            a_retried_claim_gets_the_same_answer
            a_job_with_a_live_lease_is_busy_whatever_the_gen
            a_lease_that_is_over_is_taken_over
            a_takeover_of_a_job_to_be_cancelled_cancels_it
            a_takeover_with_all_losts_used_up_fails_the_job
            a_job_that_waits_elsewhere_is_stale
            an_older_gen_is_stale
            a_newer_gen_is_adopted
            a_newer_gen_is_adopted_by_a_waiting_job
            a_job_past_its_expiry_is_expired_by_the_claim
            a_job_past_its_deadline_is_expired_by_the_claim
            a_started_job_does_not_expire_before_its_deadline
            fences_rise_with_every_claim
            a_step_finishes_before_it_claims
            of_concurrent_claims_one_runs
            a_lost_record_is_made_anew_from_the_message
            a_rebuild_of_a_running_attempt_keeps_its_number
            a_lost_record_is_made_anew_to_be_given_back
            a_rebuild_that_gives_a_known_job_back_answers_how_it_stands
            a_repeated_rebuild_gets_the_same_answer
            a_rebuild_of_a_known_job_answers_as_a_claim
            a_rebuild_of_an_ended_job_revives_nothing
            a_later_dispatch_is_rebuilt_without_its_expiry
            a_wiped_shard_has_another_epoch
            work_goes_on_after_a_wipe
            a_beat_extends_the_lease
            a_beat_tells_of_a_cancel
            a_late_beat_before_the_sweep_keeps_the_job
            a_beat_for_an_unknown_job_is_missing
            a_beat_of_another_owner_is_lost
            a_beat_for_a_job_that_left_running_is_lost_and_changes_nothing
            a_beat_does_not_revive_a_pruned_job
            beats_are_answered_in_their_order
            a_completed_job_keeps_its_result
            a_failed_job_keeps_its_error
            a_cancelled_or_expired_attempt_ends_the_job
            a_retry_waits_and_counts
            a_snooze_undoes_the_start
            a_release_undoes_the_start_and_queues_again
            a_repeated_finish_is_accepted_once
            a_finish_repeated_after_pruning_is_accepted
            a_finish_of_another_owner_is_lost
            a_finish_for_an_unknown_job_is_missing
            a_finish_does_not_revive_a_pruned_job
            of_two_owners_one_finish_is_accepted
            with_a_cancel_requested_only_success_ends_otherwise
            a_result_of_the_largest_size_is_kept
            the_last_progress_comes_with_the_finish
            the_last_twenty_attempts_are_kept
            an_ended_job_is_in_no_sweep
            an_unstarted_job_goes_back_to_the_outbox_with_a_new_gen
            a_give_back_of_anything_else_is_stale_and_changes_nothing
            a_give_back_of_an_unknown_job_says_so
            a_give_back_newer_than_the_record_adopts_its_gen
            a_repeated_give_back_is_done_once
            a_job_that_a_worker_cannot_run_comes_back_later_and_later
            a_job_that_a_worker_cannot_run_comes_back_within_a_minute
            a_job_that_another_worker_can_run_comes_back_within_a_second
            a_parked_job_waits_for_a_worker_with_its_function
            a_parked_job_is_released_by_the_sweep_when_its_worker_came_first
            a_parked_job_can_be_cancelled
            a_queued_job_in_quarantine_is_failed
            quarantine_leaves_other_jobs_alone
            what_is_in_quarantine_is_listed_page_by_page_and_dropped
            a_job_whose_worker_is_gone_is_queued_again
            a_lease_that_holds_is_left_alone
            a_lost_job_to_be_cancelled_is_cancelled
            a_job_that_loses_its_workers_too_often_is_failed
            losts_use_no_retries
            a_sweep_that_was_away_gives_owners_a_lease_to_beat
            takeover_waits_while_the_sweep_was_away
            expiry_takes_bites
            waiting_jobs_past_their_expiry_expire
            jobs_past_their_deadline_expire_unless_they_run
            expiring_takes_bites
            a_job_that_has_not_started_is_cancelled
            a_cancelled_job_leaves_every_waiting_place
            a_running_job_is_asked_to_stop
            workers_are_told_of_a_cancel
            an_ended_job_is_already_finished
            a_pruned_job_is_already_finished
            an_unknown_job_is_unknown
            a_repeated_cancel_gets_an_answer_that_agrees
            of_cancel_and_finish_one_wins
            an_entry_is_due_at_its_tick
            a_tick_fires_one_job_and_moves_on
            a_tick_that_was_fired_does_not_fire_again
            a_changed_entry_does_not_fire_as_it_was
            a_tick_in_the_future_does_not_fire
            a_tick_can_be_skipped
            of_two_schedulers_one_fires
            a_ticks_job_waits_for_no_producer
            an_entry_remembers_its_last_job
            an_entry_that_says_the_same_keeps_its_tick
            an_entry_is_written_over_the_version_that_was_read
            an_entry_that_is_made_anew_goes_on_above_its_old_version
            a_removed_entry_does_not_fire
            a_paused_entry_is_not_due_until_it_is_resumed
            a_change_leaves_a_paused_entry_paused
            a_job_is_run_outside_the_schedule
            entries_are_listed_by_name_and_page
            parents_are_looked_up_tombstones_included
            a_batch_with_the_same_ids_again_completes_its_prefix
            a_childs_edges_are_due_for_a_look_after_5_seconds
            a_live_parent_is_open_and_an_unknown_one_unknown
            an_ended_parent_tells_its_outcome_at_registration
            a_failed_parent_is_open_for_a_child_that_waits
            a_large_result_is_not_passed_on
            the_last_completed_parent_releases_the_child
            a_released_child_with_a_due_time_is_scheduled
            a_released_child_is_published_by_whom_the_caller_says
            an_edge_settles_once
            a_failed_parent_acts_by_the_edges_policy
            a_cancelled_parent_acts_by_the_edges_policy
            a_parent_that_is_gone_acts_by_the_edges_policy
            a_child_sees_its_parents_results
            a_child_keeps_a_bounded_amount_of_results
            a_released_child_has_no_edges_to_verify
            the_sweep_leases_the_edges_that_it_looks_at
            an_unknown_parent_is_remembered_until_every_one_is_found
            a_look_takes_no_more_edges_than_a_call_should
            the_verification_of_a_job_that_was_taken_back_says_so
            verified_edges_are_looked_at_in_ten_minutes_and_later_and_later
            an_enqueue_again_of_a_blocked_job_finds_it_blocked
            an_enqueue_with_an_unknown_parent_takes_itself_back
            an_abort_leaves_anything_but_blocked_alone
            an_abort_leaves_a_child_that_another_enqueue_acknowledged
            the_sweep_names_the_open_edges_alone
            a_child_of_an_unknown_parent_is_failed
            a_settled_parent_tells_its_children
            a_parent_without_children_writes_nothing
            a_relation_comes_again_unless_told
            children_are_told_page_by_page
            a_failed_parent_tells_no_child_that_waits
            a_failed_parent_tells_the_children_that_do_not_wait
            a_child_that_registers_again_is_told_by_its_last_policy
            a_requeued_parent_keeps_its_children
            a_cancelled_or_expired_parent_tells_its_children
            a_lost_registration_is_repaired_from_the_childs_side
            a_parent_that_finishes_while_its_child_is_enqueued_releases_it
            a_parent_whose_children_wait_is_not_pruned
            a_parent_with_untold_children_is_not_pruned
            a_discarded_parent_tells_its_children_that_it_is_gone
            a_failed_job_asks_for_its_twin_until_it_is_copied
            a_dead_letter_travels_through_the_archive
            a_twin_of_a_failed_job_is_kept
            a_twin_of_a_requeued_job_is_stale
            a_twin_of_a_discarded_job_is_dropped
            a_twin_after_a_wipe_is_rebuilt_as_failed
            a_dead_letter_is_requeued_with_fresh_counts
            a_requeue_touches_only_what_died_before
            a_resumed_requeue_requeues_none_twice
            a_requeued_dead_letter_has_no_expiry
            a_dead_letter_past_its_deadline_is_not_requeued
            a_discarded_dead_letter_leaves_a_tombstone
            a_discard_touches_only_what_died_before
            requeue_and_discard_leave_other_jobs_alone
            removals_are_counted_for_the_keeper
            the_error_of_a_dead_letter_that_never_ran_stays_visible_when_it_does
            a_message_that_the_broker_gave_up_counts_a_lost_for_a_running_job
            a_message_that_the_broker_gave_up_twice_counts_once
            a_message_that_the_broker_gave_up_goes_to_the_outbox_for_a_queued_job
            unknown_jobs_among_what_the_broker_gave_up_are_named
            an_edited_dead_letter_runs_with_its_new_arguments
            an_edit_of_a_letter_that_was_requeued_meanwhile_changes_nothing
            an_edited_dead_letter_past_its_deadline_stays_as_it_is
            an_operation_begins_once_at_the_time_of_the_store
            an_operation_is_remembered_as_it_was_saved
            the_oldest_ended_operation_makes_room
            a_requeue_from_the_start_of_an_operation_spares_what_dies_later
            a_job_is_pruned_after_the_retention_of_its_status
            a_status_without_a_retention_is_kept
            live_jobs_are_never_pruned
            pruning_takes_bites
            a_tombstone_answers_for_seven_days
            a_tombstone_ends_and_the_id_is_free_again
            a_pruned_dead_letter_is_no_dead_letter
            a_tombstone_tells_a_child_how_its_parent_ended
            a_paused_queue_starts_nothing
            a_resumed_queue_starts_again
            a_pause_lets_running_jobs_end
            a_pause_is_for_its_queue_alone
            a_pause_holds_in_every_shard
            an_ended_job_of_a_paused_queue_is_over
            a_takeover_in_a_paused_queue_cancels_and_starts_nothing
            paused_queues_are_listed_and_told_to_workers
            workers_are_told_that_queues_changed
            the_owners_progress_is_seen
            the_latest_progress_wins
            progress_of_another_owner_is_dropped
            progress_after_the_end_is_dropped
            progress_revives_nothing
            one_call_writes_progress_of_many_jobs
            a_new_attempt_may_begin_anew
            every_start_begins_without_progress
            a_repeated_claim_keeps_the_progress
            an_empty_store_shows_nothing
            a_listing_goes_from_the_newest_to_the_oldest_over_all_shards
            a_listing_goes_on_where_its_page_ended
            a_listing_shows_what_matches_all_conditions
            a_listing_by_creation_time_is_half_open
            a_job_that_moves_between_pages_is_listed_at_most_once
            counters_follow_every_move
            jobs_are_shown_in_the_order_asked_and_as_much_as_asked
            workers_are_listed_while_they_beat
            a_watcher_is_woken_by_a_change_of_status
            a_watcher_is_woken_by_progress
            the_store_answers_a_ping
            nothing_has_happened_in_an_empty_store
            attempts_are_counted_by_function_and_queue_with_their_times
            a_finish_that_is_told_twice_is_counted_once
            a_job_waits_from_the_moment_at_which_it_can_run
            a_give_back_does_not_end_the_wait
            a_child_waits_from_its_release
            jobs_that_end_without_an_attempt_are_counted_without_a_time
            a_lost_worker_is_counted_and_its_attempt_has_no_time
            what_was_put_off_or_handed_back_has_no_time
            a_window_ends_and_its_series_has_no_gaps
            minutes_become_hours_and_nothing_is_lost
            every_shard_is_counted
            a_query_for_one_function_or_queue_leaves_the_others_out
            jobs_are_counted_by_status_function_and_queue
            a_queue_tells_its_length_and_the_age_of_its_oldest_job
            functions_that_find_no_room_share_a_row
            a_query_out_of_its_bounds_is_refused
            a_shard_is_leased_to_one_holder
            a_holder_renews_what_it_has
            leases_end_unless_renewed
            released_leases_are_free_at_once
            a_message_arrives_as_it_was_sent
            a_bundle_arrives_whole
            a_batch_is_confirmed_in_its_order
            an_acknowledged_message_is_gone
            an_unacknowledged_message_comes_again_when_its_subscription_ends
            a_delivery_that_is_dropped_comes_again_when_its_subscription_ends
            higher_priorities_come_first
            prefetch_bounds_what_is_unacknowledged
            a_quiet_subscription_still_acknowledges
            two_subscribers_share_a_queue
            queues_are_apart
            depths_count_what_waits
            a_subscription_waits_for_messages
            cancelling_a_wait_loses_no_delivery
            bytes_of_nobody_are_handed_over_as_undecodable
            a_deleted_queue_ends_its_subscription_and_is_made_anew
            what_the_broker_gave_up_comes_as_it_was_sent
            nothing_is_given_up_without_a_cause
        }
    };
}

/// Calls a macro with the areas: a test's name and the area.
macro_rules! each_area {
    ($call:ident) => {
        $call! {
            enqueue Enqueue
            outbox Outbox
            audit Audit
            claim Claim
            rebuild Rebuild
            beat Beat
            finish Finish
            give_back GiveBack
            expire Expire
            cancel Cancel
            cron Cron
            edges Edges
            relations Relations
            dead_letters DeadLetters
            retention Retention
            pause Pause
            progress Progress
            inspect Inspect
            statistics Statistics
            leases Leases
            broker Broker
        }
    };
}
