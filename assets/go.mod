// The browser libraries, pinned by version and checksum; `make assets` copies their minified files into the UI.
module github.com/ringfence/ringfence/assets

go 1.26

require (
	github.com/bigskysoftware/htmx v2.0.4+incompatible
	github.com/leeoniya/uPlot v0.0.0-20250314024639-e995b061e9fc
)
