package compat

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/bufbuild/protocompile"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"

	"github.com/ringfence/ringfence/internal/contract"
	"github.com/ringfence/ringfence/internal/errs"
	"github.com/ringfence/ringfence/internal/fleet"
)

// protobuf reads a source file, or a FileDescriptorSet as protoc and buf write it.
type protobuf struct{}

const (
	sourceName  = "interface.proto"
	compileTime = 10 * time.Second
)

// methods are what the services in a document offer, by package.Service/Method.
func (protobuf) methods(doc []byte) (map[string]protoreflect.MethodDescriptor, error) {
	all := map[string]protoreflect.MethodDescriptor{}
	add := func(f protoreflect.FileDescriptor) bool {
		for i := range f.Services().Len() {
			s := f.Services().Get(i)
			for k := range s.Methods().Len() {
				m := s.Methods().Get(k)
				all[fmt.Sprintf("%s/%s", s.FullName(), m.Name())] = m
			}
		}
		return true
	}
	if binary(doc) {
		var set descriptorpb.FileDescriptorSet
		if err := proto.Unmarshal(doc, &set); err != nil {
			return nil, errs.E(errs.Invalid, "the interface is no FileDescriptorSet: %.200s", err)
		}
		files, err := protodesc.FileOptions{AllowUnresolvable: false}.NewFiles(complete(&set))
		if err != nil {
			return nil, errs.E(errs.Invalid, "the FileDescriptorSet is not whole: %.200s", err).Next("Make it with its imports: protoc --include_imports, or buf build.")
		}
		files.RangeFiles(add)
		return all, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), compileTime)
	defer cancel()
	c := protocompile.Compiler{Resolver: protocompile.WithStandardImports(&protocompile.SourceResolver{Accessor: protocompile.SourceAccessorFromMap(map[string]string{sourceName: string(doc)})})}
	files, err := c.Compile(ctx, sourceName)
	if err != nil {
		return nil, errs.E(errs.Invalid, "the interface is no protobuf source: %.300s", err).Next("Of sources that import others, give a FileDescriptorSet: buf build -o interface.binpb")
	}
	for _, f := range files {
		add(f)
	}
	return all, nil
}

// complete adds the well-known files that a set leaves out.
func complete(set *descriptorpb.FileDescriptorSet) *descriptorpb.FileDescriptorSet {
	has := map[string]bool{}
	for _, f := range set.File {
		has[f.GetName()] = true
	}
	for _, f := range set.File {
		for _, name := range f.Dependency {
			if has[name] {
				continue
			}
			if known, err := protoregistry.GlobalFiles.FindFileByPath(name); err == nil {
				set.File = append(set.File, protodesc.ToFileDescriptorProto(known))
				has[name] = true
			}
		}
	}
	return set
}

// binary tells a set from a source: text has no control characters.
func binary(doc []byte) bool {
	return bytes.ContainsFunc(doc[:min(len(doc), 4096)], func(r rune) bool { return r < ' ' && r != '\n' && r != '\r' && r != '\t' })
}

func (p protobuf) operations(doc []byte, now time.Time) ([]fleet.Operation, error) {
	methods, err := p.methods(doc)
	if err != nil {
		return nil, err
	}
	var all []fleet.Operation
	for name, m := range methods {
		op := fleet.Operation{Name: name}
		own, _ := m.Options().(*descriptorpb.MethodOptions)
		service, _ := m.Parent().Options().(*descriptorpb.ServiceOptions)
		if own.GetDeprecated() || service.GetDeprecated() {
			op.Deprecated = now
		}
		all = append(all, op)
	}
	return all, nil
}

func (p protobuf) breaks(before, after []byte) ([]contract.Found, error) {
	old, err := p.methods(before)
	if err != nil {
		return nil, err
	}
	next, err := p.methods(after)
	if err != nil {
		return nil, err
	}
	var found []contract.Found
	for name, was := range old {
		is := next[name]
		if is == nil {
			found = append(found, contract.Found{Operation: name, Removed: true, Text: "is removed"})
			continue
		}
		w := wire{seen: map[protoreflect.FullName]bool{}}
		if was.IsStreamingClient() != is.IsStreamingClient() || was.IsStreamingServer() != is.IsStreamingServer() {
			w.say("streams otherwise than before")
		}
		w.message(was.Input(), is.Input())
		w.message(was.Output(), is.Output())
		for _, text := range w.found {
			found = append(found, contract.Found{Operation: name, Text: text})
		}
	}
	return found, nil
}
