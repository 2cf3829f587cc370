// Package storetest is the promise of package store as a test: every adapter runs it and must behave alike.
package storetest
