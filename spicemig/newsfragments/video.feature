Parts of the screen that are redrawn as video are sent as MJPEG, or with PyAV as VP8, H264 or VP9, in `[display]
streaming` and `video_codecs`; the last picture of a video is shown without loss, and a video goes on over a handover.
