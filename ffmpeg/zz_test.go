package ffmpeg
import "os"
func init(){ if os.Getenv("FFLOG")!="" { FfmpegSetLogLevel(32) } }
