"""Exact pieces out of arbitrary chunks."""

from hypothesis import given
from hypothesis import strategies as st

from relay.audio.framing import Framer


@given(st.lists(st.binary(max_size=50)), st.integers(1, 17))
def test_any_chunking_gives_the_same_pieces(chunks, size):
    framer = Framer(size)
    pieces = [piece for chunk in chunks for piece in framer.feed(chunk)]
    data = b"".join(chunks)
    assert pieces == [data[at : at + size] for at in range(0, len(data) - size + 1, size)]
    assert framer.waiting_bytes == len(data) % size


def test_a_chunk_of_exactly_one_piece_is_passed_through_uncopied():
    chunk = bytes(640)
    assert Framer(640).feed(chunk)[0] is chunk
