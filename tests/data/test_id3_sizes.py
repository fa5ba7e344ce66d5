"""ID3 tags in front of sounds whose size is wrong but ends inside the file."""

import numpy as np
import pytest
import soundfile

from wsac.data.audio.headers import HEAD_BYTES, audio_start


@pytest.mark.parametrize("size", [0, 20, 50, 90, 127])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_the_next_mark_is_searched(tmp_path, suffix, size):
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, 0.1 * np.sin(np.arange(16_000) / 5), 16_000)
    content = b"ID3\4\0\0\0\0\0" + bytes([size]) + bytes(50) + path.read_bytes()
    path.write_bytes(content)
    assert audio_start(path, content[:HEAD_BYTES]) == 60
