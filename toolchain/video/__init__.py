"""Films, frame by frame: read and written by FFmpeg, or as streams that pipes carry."""
