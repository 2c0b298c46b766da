"""Histories that people keep, made into cassettes."""

from replay.history import from_history, to_history

ONE = (
    b'[{"parts":[{"content":"Hi","timestamp":"2026-11-20T09:17:09.481943Z","part_kind":"user-prompt"}],'
    b'"timestamp":"2026-11-20T09:17:09.482017Z","instructions":null,"kind":"request","run_id":"r1","metadata":null},'
    b'{"parts":[{"content":"Hello","id":null,"provider_details":null,"part_kind":"text"}],"usage":{"input_tokens":1,'
    b'"cache_write_tokens":0,"cache_read_tokens":0,"output_tokens":2,"input_audio_tokens":0,'
    b'"cache_audio_read_tokens":0,"output_audio_tokens":0,"details":{}},"model_name":"m",'
    b'"timestamp":"2026-11-20T09:17:10Z","kind":"response","provider_name":null,"provider_url":null,'
    b'"provider_details":null,"provider_response_id":null,"finish_reason":"stop","run_id":"r1","metadata":null}]'
)


def test_a_history_comes_back_from_its_cassette():
    assert to_history(from_history(ONE).cassette) == ONE
