package ffmpeg

// #include <libavutil/mem.h>
import "C"

import "math"

// limitAllocations makes every larger allocation of libav fail, in the whole process,
// until it is called with noLimit. It is here for a test only, because test files
// cannot use C.
func limitAllocations(bytes int) { C.av_max_alloc(C.size_t(bytes)) }

const noLimit = math.MaxInt32
