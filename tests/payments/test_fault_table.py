"""Every fault that payments must survive, and the tests that try it. A fault without its test is a fault of this table."""

import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]

# fault → "file::test", several by a space; files below tests/
FAULTS: dict[str, str] = {
    "changed total_amount": "payments/test_alipay_notice.py::test_no_field_can_be_changed payments/test_payment_notice.py::test_what_alipay_did_not_sign_is_refused",
    "valid signature, other amount": "payments/test_payment_notice.py::test_a_signed_notice_that_does_not_fit_is_kept_and_not_applied payments/test_payment.py::test_what_does_not_fit_is_refused",
    "wrong app_id / seller_id": "payments/test_alipay_notice.py::test_alipays_word_to_somebody_else_is_not_for_us payments/test_payment.py::test_what_does_not_fit_is_refused",
    "unknown out_trade_no": "payments/test_payment.py::test_a_number_that_is_not_ours_is_not_found payments/test_payment_notice.py::test_what_alipay_did_not_sign_is_refused",
    "SHA1 / MD5 signature, no sign_type, junk base64, signed with our own key": "payments/test_alipay_notice.py::test_only_rsa2_by_alipay_is_a_signature payments/test_alipay_signing.py::test_other_hashes_and_lax_base64_are_no_signature",
    "duplicate form key": "payments/test_alipay_notice.py::test_no_field_can_be_added_taken_away_or_repeated",
    "query override": "payments/test_payment_notice.py::test_a_query_string_adds_nothing",
    "GBK body, 10 MB body": "payments/test_faults.py::test_a_notice_in_another_encoding_or_a_body_of_ten_megabytes_is_refused",
    "wrong content type, GET": "payments/test_payment_notice.py::test_other_methods_types_and_sizes_are_refused",
    "the same notice 50 times at once": "payments/test_payment.py::test_the_same_notice_fifty_times_is_one_posting",
    "SUCCESS after FINISHED, late WAIT_BUYER_PAY": "payments/test_faults.py::test_news_in_the_wrong_order_changes_nothing",
    "TRADE_CLOSED after full refund": "payments/test_refund_ways.py::test_our_own_refund_is_not_taken_for_a_strangers payments/test_refund_ways.py::test_first_heard_when_it_was_paid_and_all_gone_back",
    "notice before our own commit": "payments/test_faults.py::test_a_notice_that_comes_before_our_own_commit_is_told_again",
    "notice while the database is down": "payments/test_faults.py::test_a_notice_while_the_database_is_down_is_told_again",
    "no notice at all": "web/test_buying_emulator.py::test_no_notice_at_all_is_found_out_by_asking payments/test_bill_import.py::test_a_payment_that_nobody_told_of_is_learnt_with_its_fee",
    "forged return": "web/test_buying.py::test_the_return_from_the_cashier_asks_and_believes_nothing_else",
    "close races pay": "payments/test_payment_call.py::test_a_close_that_was_too_late_finds_the_payment_and_gives_it_back",
    "two tabs paid": "payments/test_payment.py::test_two_tabs_paid_means_one_is_refunded",
    "price changed between attempts": "payments/test_faults.py::test_a_price_changed_between_two_attempts_changes_no_placed_order payments/test_faults.py::test_one_key_never_pays_two_amounts",
    "query times out, drips": "payments/test_alipay.py::test_an_answer_that_takes_too_long_is_cut_at_the_deadline",
    "query gets 502, 302, truncated": "payments/test_alipay.py::test_a_spoilt_answer_leaves_the_outcome_unknown",
    "response replayed from another order": "payments/test_alipay.py::test_a_spoilt_answer_leaves_the_outcome_unknown payments/test_alipay.py::test_a_refund_answer_of_another_order_is_not_taken payments/test_alipay.py::test_an_answer_to_another_refund_of_the_same_order_is_no_proof_of_this_one",
    "rotated keys": "payments/test_alipay.py::test_wrong_keys_and_applications_are_for_a_person_to_mend payments/test_alipay_certificate.py::test_a_new_certificate_of_alipays_is_not_believed_unseen payments/test_faults.py::test_a_channel_that_refuses_our_keys_is_not_asked_for_every_refund",
    "refund committed then timed out": "payments/test_payment_call.py::test_a_refund_committed_and_then_timed_out_is_not_sent_twice payments/test_alipay.py::test_a_refund_whose_answer_was_lost_is_found_by_its_number",
    "same refund number, other amount": "payments/test_alipay.py::test_the_same_refund_twice_moves_money_once payments/test_faults.py::test_a_refund_that_the_channel_has_under_another_amount_waits_for_a_person",
    "concurrent partial refunds over the total": "payments/test_faults.py::test_refunds_at_once_stop_at_what_was_paid payments/test_alipay.py::test_refunds_at_once_stop_at_the_total",
    "refund 0, −1, 0.001, 1e9, NaN, full-width digits": "payments/test_faults.py::test_an_odd_amount_is_refused_on_the_page_and_asks_for_nothing payments/test_alipay.py::test_only_whole_fen_are_asked_for",
    "transfer timeout then ORDER_NOT_EXIST": "settlement/test_payout_transfer.py::test_an_answer_that_is_lost_is_unknown_and_asked_for_under_the_same_number payments/test_alipay_transfer.py::test_a_lost_transfer_that_alipay_does_not_know_is_sent_again_unchanged payments/test_alipay_transfer.py::test_a_transfer_whose_answer_was_lost_is_found_by_its_number",
    # Before a file is made the book must hold its money; a payout's and a refund's account may be short at the channel.
    "balance short": "settlement/test_payout_transfer.py::test_a_short_balance_stops_the_batch_loses_nothing_and_goes_on_once_it_is_filled settlement/test_at_once.py::test_a_fen_is_promised_once payments/test_alipay.py::test_a_refund_that_the_sellers_balance_does_not_cover_may_be_sent_again payments/test_payment_call.py::test_a_refund_that_the_balance_does_not_cover_leaves_later_under_its_number",
    "name mismatch, closed account": "settlement/test_payout_transfer.py::test_a_refusal_comes_back_to_the_household_with_its_reason_in_chinese settlement/test_payout_batch.py::test_results_may_come_in_parts_and_in_gb18030 settlement/test_payout_batch.py::test_a_return_may_follow_days_after_paid_but_never_the_other_way settlement/test_payout_batch.py::test_a_returned_reissue_can_be_sent_once_more_and_a_cancelled_one_waits",
    "failure mid-batch": "settlement/test_payout_transfer.py::test_a_worker_killed_between_the_row_and_the_answer_pays_once settlement/test_payout_batch.py::test_results_may_come_in_parts_and_in_gb18030 settlement/test_payout_batch.py::test_every_bad_line_is_named_and_nothing_is_imported",
    "two workers, one payout": "settlement/test_payout_transfer.py::test_two_workers_at_one_transfer_pay_once settlement/test_at_once.py::test_a_batch_is_made_once settlement/test_at_once.py::test_a_results_file_is_applied_once settlement/test_payout_batch.py::test_a_distribution_is_batched_once",
    "two workers, one refund": "payments/test_faults.py::test_two_workers_send_one_refund_once",
    "subject with quotes, &amp;, emoji, newline, <script>": "payments/test_alipay.py::test_any_subject_can_be_paid_and_is_shown_harmlessly",
    "server in UTC at midnight": "payments/test_alipay.py::test_the_time_in_a_request_is_beijings",
    "bill for today": "payments/test_alipay_bill.py::test_a_bill_comes_at_ten_the_next_morning",
    "bill with GBK names": "payments/test_alipay_bill.py::test_names_are_gbk_as_alipays_are",
    "bill with missing / extra row": "payments/test_alipay_bill.py::test_a_bill_that_does_not_add_up_is_refused payments/test_bill_import.py::test_what_only_our_books_know_is_found_a_day_later payments/test_bill_import.py::test_what_does_not_fit_is_a_task_and_posts_nothing_but_its_fee",
    "zip bomb, path traversal": "payments/test_alipay_bill.py::test_a_hostile_zip_is_refused",
    "statement imported twice": "payments/test_bank_statement.py::test_the_same_file_or_row_again_changes_nothing",
    "short / over paid": "payments/test_bank_match.py::test_one_transfer_pays_two_orders_and_one_order_is_paid_in_two payments/test_bank_match.py::test_no_receipt_is_matched_beyond_what_came",
    "payer ≠ unit": "payments/test_bank_match.py::test_proposals_are_ranked_by_reference_then_amount_then_payer",
    "reversal of a transfer": "payments/test_receipt_return.py::test_a_receipt_that_was_a_withdrawal_and_a_debit_that_takes_a_receipt_back",
    "statement altered, foreign, of another account, or with a row missing": "payments/test_bank_layouts.py::test_a_row_that_was_taken_out_or_changed_breaks_the_chain payments/test_bank_layouts.py::test_another_accounts_statement_is_refused_whether_or_not_it_has_stars payments/test_bank_layouts.py::test_what_is_no_statement_says_why",
    "payout file edited after approval": "settlement/test_payout_batch.py::test_an_altered_file_is_not_sent",
    "maker = checker": "settlement/test_payout_batch.py::test_nobody_approves_their_own_batch payments/test_refund_ways.py::test_nobody_approves_their_own_payee_and_strangers_see_nothing",
    "=cmd in a name": "settlement/test_payout_batch.py::test_no_cell_is_a_formula",
    "kill -9 between call row and HTTP, and between HTTP and commit": "payments/test_killed.py::test_a_refund_of_a_killed_worker_leaves_exactly_once payments/test_killed.py::test_a_question_of_a_killed_worker_is_asked_again",
    "production started with emulator key": "foundation/test_config_and_files.py::test_production_knows_the_emulators_keys_wherever_they_were_copied emulator/test_keys.py::test_it_does_not_start_where_real_money_moves",
    "logs searched for secrets": "payments/test_secrets.py::test_nothing_secret_is_written_down payments/test_secrets.py::test_the_search_would_find_what_it_looks_for",
    "keys, form or permission refused": "payments/test_faults.py::test_a_channel_that_refuses_our_keys_is_asked_about_one_of_three_open_payments payments/test_faults.py::test_a_channel_that_refuses_our_keys_is_asked_to_close_one_of_three payments/test_faults.py::test_a_channel_that_refuses_our_keys_is_asked_for_no_bill",
    "everything at once, and the worker killed": "payments/test_chaos.py::test_every_yuan_is_found_again soak/test_chaos.py::test_every_yuan_is_found_again",
    "news in any order": "payments/test_any_order.py::test_any_order_of_news_ends_in_the_same_books",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_has_its_test(fault: str) -> None:
    for named in FAULTS[fault].split():
        file, _, test = named.partition("::")
        assert re.search(rf"^def {test}\(", (TESTS / file).read_text(), re.MULTILINE), named


# The faults that payments were designed against, one by one.
DESIGNED_AGAINST = """
changed total_amount · valid signature, other amount · wrong app_id / seller_id · unknown out_trade_no · SHA1 / MD5 signature · no sign_type ·
junk base64 · signed with our own key · duplicate form key · query override · GBK body · wrong content type · 10 MB body · GET ·
the same notice 50 times at once · SUCCESS after FINISHED · late WAIT_BUYER_PAY · TRADE_CLOSED after full refund · notice before our own commit ·
notice while the database is down · no notice at all · forged return · close races pay · two tabs paid · price changed between attempts ·
query times out · 502 · 302 · truncated · drips · response replayed from another order · rotated keys · refund committed then timed out ·
same refund number, other amount · concurrent partial refunds over the total · refund 0, −1, 0.001, 1e9, NaN, full-width digits ·
transfer timeout then ORDER_NOT_EXIST · two workers, one payout · balance short · name mismatch · closed account · failure mid-batch ·
subject with quotes, &amp;, emoji, newline, <script> · server in UTC at midnight · bill for today · GBK names · missing / extra row · zip bomb ·
path traversal · statement imported twice · short / over paid · payer ≠ unit · reversal · payout file edited after approval · maker = checker ·
=cmd in a name · kill -9 between call row and HTTP, and between HTTP and commit · production started with emulator key · logs searched for secrets
"""


def test_no_fault_that_payments_were_designed_against_is_missing() -> None:
    named = [fault.strip() for fault in DESIGNED_AGAINST.split("·")]
    assert len(named) > 55
    assert [fault for fault in named if not any(fault in row for row in FAULTS)] == []
