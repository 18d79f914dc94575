// Package capacity finds out how many streams a machine carries: it is what `lpms bench`
// runs.
//
// It publishes a busy test signal several times over to a back-end in the same process, in real
// time, and looks whether all renditions keep up. The number is raised or lowered until the
// largest is known that does. Media goes the way of every stream, but for the RTMP wire and
// for viewers, which cost little beside encoding.
package capacity
