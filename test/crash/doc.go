// Package crash kills Ringfence's processes where it hurts most and looks whether anything was lost.
package crash
