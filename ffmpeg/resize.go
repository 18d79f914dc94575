package ffmpeg

// #include "resize.h"
import "C"

import "unsafe"

// resizePlane shrinks planes one after the other with one resizer. It is here for a test
// only, because test files cannot use C.
func resizePlane(planes [][]byte, srcW, srcH, dstW, dstH int, plain bool) (out [][]byte) {
	r := C.lpms_resizer_open(C.int(srcW), C.int(srcH), C.int(dstW), C.int(dstH))
	if r == nil {
		return nil
	}
	defer C.lpms_resizer_close(&r)
	if plain {
		C.lpms_resizer_plain(r)
	}
	for _, p := range planes {
		dst := make([]byte, dstW*dstH)
		C.lpms_resizer_resize(r, (*C.uint8_t)(unsafe.SliceData(p)), C.ptrdiff_t(srcW), (*C.uint8_t)(unsafe.SliceData(dst)), C.ptrdiff_t(dstW))
		out = append(out, dst)
	}
	return out
}
