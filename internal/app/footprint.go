package app

import (
	"bufio"
	"fmt"
	"os"
	"runtime/debug"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// startIsOver is when what only the start needed can be given back.
const startIsOver = 3 * time.Second

// shrinkLater gives memory back once the start is over: garbage of the start, and the pages of the binary that
// only packages' initialisation touched. What is still needed of those comes back from the page cache by itself.
func shrinkLater() (stop func() bool) {
	return time.AfterFunc(startIsOver, func() {
		debug.FreeOSMemory()
		dropBinaryPages()
	}).Stop
}

// dropBinaryPages lets go of the read-only mappings of this executable. It is an advice: failing is harmless.
func dropBinaryPages() {
	self, err := os.Executable()
	if err != nil {
		return
	}
	maps, err := os.Open("/proc/self/maps")
	if err != nil {
		return
	}
	defer maps.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to uintptr
		var mode string
		if n, _ := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); n == 3 && mode[1] == '-' && strings.HasSuffix(lines.Text(), " "+self) {
			_, _, _ = unix.Syscall(unix.SYS_MADVISE, from, to-from, unix.MADV_DONTNEED)
		}
	}
}
