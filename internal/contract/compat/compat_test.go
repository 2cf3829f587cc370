package compat

import (
	"context"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/ringfence/ringfence/internal/errs"
)

// blobs are documents by any name.
type blobs map[string]string

func (b blobs) Open(_ context.Context, digest string) (io.ReadCloser, error) {
	doc, ok := b[digest]
	if !ok {
		return nil, errs.E(errs.Missing, "no %s", digest)
	}
	return io.NopCloser(strings.NewReader(doc)), nil
}

const shopAPI = `openapi: 3.1.0
info: {title: shop, version: "1"}
servers: [{url: "https://shop.example/v1"}]
paths:
  /products:
    get:
      parameters: [{name: limit, in: query, schema: {type: integer}}]
      responses: {"200": {description: all, content: {application/json: {schema: {type: array, items: {$ref: "#/components/schemas/Product"}}}}}}
  /products/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: string}}]
    get:
      deprecated: true
      x-deprecated-since: "2026-03-01"
      x-sunset: "2027-03-01"
      responses: {"200": {description: one, content: {application/json: {schema: {$ref: "#/components/schemas/Product"}}}}}
    delete:
      deprecated: true
      responses: {"204": {description: gone}}
components:
  schemas:
    Product: {type: object, required: [id, price], properties: {id: {type: string}, price: {type: number}}}
`

var now = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

func TestOperations(t *testing.T) {
	all, err := Reader{blobs{"d": shopAPI}}.Operations(t.Context(), "openapi", "d", now)
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, op := range all {
		said = append(said, op.Name+" "+op.Deprecated.Format(time.DateOnly)+" "+op.Sunset.Format(time.DateOnly))
	}
	want := "DELETE /v1/products/{id} 2026-11-22 0001-01-01; GET /v1/products 0001-01-01 0001-01-01; GET /v1/products/{id} 2026-03-01 2027-03-01"
	if got := strings.Join(said, "; "); got != want {
		t.Errorf("%s\nexpected %s", got, want)
	}
}

func TestBreaksOfOpenAPI(t *testing.T) {
	edit := func(pairs ...string) string { return strings.NewReplacer(pairs...).Replace(shopAPI) }
	for _, tc := range []struct {
		name, next string
		want       []string // operation and a part of the text
	}{
		{"the same", shopAPI, nil},
		{"an operation more", edit("  /products/{id}:\n", "  /carts:\n    get: {responses: {\"200\": {description: ok}}}\n  /products/{id}:\n"), nil},
		{"a parameter by another name", edit("/products/{id}:", "/products/{sku}:", "name: id, in: path", "name: sku, in: path"), nil},
		{"an operation less, whatever was promised", edit("    delete:\n      deprecated: true\n      responses: {\"204\": {description: gone}}\n", ""), []string{"DELETE /v1/products/{id}|is removed"}},
		{"a parameter is required", edit("in: query, schema", "in: query, required: true, schema"), []string{"GET /v1/products|limit"}},
		{"another type", edit("price: {type: number}", "price: {type: string}"), []string{"GET /v1/products|price", "GET /v1/products/{id}|price"}},
		{"all below another path", edit("/v1\"", "/v2\""), []string{"DELETE /v1/products/{id}|is removed", "GET /v1/products|is removed", "GET /v1/products/{id}|is removed"}},
	} {
		found, err := Reader{blobs{"a": shopAPI, "b": tc.next}}.Breaks(t.Context(), "openapi", "a", "b")
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		if len(found) != len(tc.want) {
			t.Errorf("%s: %+v, expected %v", tc.name, found, tc.want)
			continue
		}
		for i, w := range tc.want {
			op, part, _ := strings.Cut(w, "|")
			if found[i].Operation != op || !strings.Contains(found[i].Text, part) || found[i].Removed != (part == "is removed") {
				t.Errorf("%s: %+v, expected %s", tc.name, found[i], w)
			}
		}
	}
}

const shopProto = `syntax = "proto3";
package shop.v1;
import "google/protobuf/timestamp.proto";
service Shop {
  rpc Buy(Order) returns (Receipt);
  rpc Watch(Order) returns (stream Receipt);
  rpc Old(Order) returns (Receipt) { option deprecated = true; }
}
enum Kind { NEW = 0; USED = 1; }
message Order { string sku = 1; int32 count = 2; Kind kind = 3; repeated string notes = 4; oneof pay { string card = 5; string cash = 6; } Order next = 7; }
message Receipt { string id = 1; google.protobuf.Timestamp at = 2; }
`

func TestBreaksOfProtobuf(t *testing.T) {
	for _, tc := range []struct {
		name string
		edit []string
		want string // of Buy; "" for none
	}{
		{"the same", nil, ""},
		{"a field more", []string{"string id = 1;", "string id = 1; string note = 9;"}, ""},
		{"names are not on the wire", []string{"sku", "article", "message Order", "message Purchase", "(Order)", "(Purchase)", "Order next", "Purchase next"}, ""},
		{"a wider number", []string{"int32 count", "int64 count"}, ""},
		{"a field less, reserved", []string{"string sku = 1;", "reserved 1;"}, ""},
		{"a field less", []string{"string sku = 1;", ""}, "loses field sku"},
		{"another kind", []string{"int32 count", "string count"}, "is string, and was int32"},
		{"zigzag", []string{"int32 count", "sint32 count"}, "is sint32"},
		{"no list any more", []string{"repeated string notes", "string notes"}, "is single, and was repeated"},
		{"out of the oneof", []string{"oneof pay { string card = 5; string cash = 6; }", "oneof pay { string card = 5; } string cash = 6;"}, "is in no oneof"},
		{"a value less", []string{"USED = 1;", ""}, "loses value USED"},
		{"a value less, reserved", []string{"USED = 1;", "reserved 1;"}, ""},
		{"a stream", []string{"rpc Buy(Order) returns (Receipt)", "rpc Buy(Order) returns (stream Receipt)"}, "streams otherwise"},
		{"gone", []string{"rpc Buy(Order) returns (Receipt);", ""}, "is removed"},
		{"in another package", []string{"package shop.v1", "package shop.v2"}, "is removed"},
	} {
		found, err := Reader{blobs{"a": shopProto, "b": strings.NewReplacer(tc.edit...).Replace(shopProto)}}.Breaks(t.Context(), "protobuf", "a", "b")
		if err != nil {
			t.Errorf("%s: %v", tc.name, err)
			continue
		}
		said := ""
		for _, f := range found {
			if f.Operation == "shop.v1.Shop/Buy" {
				said += f.Text + ";"
			}
		}
		if tc.want == "" && len(found) > 0 || !strings.Contains(said, tc.want) {
			t.Errorf("%s: %+v, expected %q", tc.name, found, tc.want)
		}
	}
}

func TestADescriptorSetIsReadLikeItsSource(t *testing.T) {
	set := &descriptorpb.FileDescriptorSet{File: []*descriptorpb.FileDescriptorProto{protodesc.ToFileDescriptorProto(timestamppb.File_google_protobuf_timestamp_proto), {
		Name: proto.String("a.proto"), Package: proto.String("shop.v1"), Syntax: proto.String("proto3"),
		MessageType: []*descriptorpb.DescriptorProto{{Name: proto.String("Order")}},
		Service: []*descriptorpb.ServiceDescriptorProto{{Name: proto.String("Shop"), Options: &descriptorpb.ServiceOptions{Deprecated: proto.Bool(true)},
			Method: []*descriptorpb.MethodDescriptorProto{{Name: proto.String("Buy"), InputType: proto.String(".shop.v1.Order"), OutputType: proto.String(".shop.v1.Order")}}}},
	}}}
	doc, err := proto.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	all, err := Reader{blobs{"d": string(doc)}}.Operations(t.Context(), "protobuf", "d", now)
	if err != nil || len(all) != 1 || all[0].Name != "shop.v1.Shop/Buy" || !all[0].Deprecated.Equal(now) {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestWhatIsNoInterface(t *testing.T) {
	for name, tc := range map[string]struct{ format, doc, says string }{
		"no document":        {"openapi", "hello", "OpenAPI"},
		"swagger":            {"openapi", "swagger: '2.0'\ninfo: {title: a, version: '1'}\npaths: {}", "expected 3.0 or 3.1"},
		"nothing to ask for": {"openapi", "openapi: 3.0.0\ninfo: {title: a, version: '1'}\npaths: {}", "declares 0 operations"},
		"a reference abroad": {"openapi", strings.ReplaceAll(shopAPI, "#/components/schemas/Product", "file:///etc/passwd"), "external reference"},
		"no date":            {"openapi", strings.ReplaceAll(shopAPI, "2027-03-01", "soon"), "expected a day"},
		"no source":          {"protobuf", "hello", "protobuf source"},
		"an import":          {"protobuf", strings.ReplaceAll(shopProto, "google/protobuf/timestamp.proto", "/etc/passwd"), "protobuf source"},
		"no set":             {"protobuf", "\x00\x01\x02", "FileDescriptorSet"},
		"no format":          {"wsdl", shopAPI, "expected openapi or protobuf"},
		"too large":          {"openapi", strings.Repeat(" ", MaxDocument+1), "more than 4 MiB"},
	} {
		_, err := Reader{blobs{"d": tc.doc}}.Operations(t.Context(), tc.format, "d", now)
		if !errs.Is(err, errs.Invalid) || !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (Reader{blobs{}}).Operations(t.Context(), "openapi", "d", now); !errs.Is(err, errs.Missing) {
		t.Errorf("missing: %v", err)
	}
}

// An interface breaks nothing of itself, and what is removed from it is found, whatever else there is.
func TestRemovalsAreFound(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		paths := rapid.SliceOfNDistinct(rapid.StringMatching(`/[a-c]{1,3}(/\{id\})?`), 1, 6, rapid.ID[string]).Draw(t, "paths")
		doc := func(paths []string) string {
			var b strings.Builder
			b.WriteString("openapi: 3.0.0\ninfo: {title: a, version: '1'}\npaths:\n  /always: {get: {responses: {'200': {description: ok}}}}\n")
			for _, p := range paths {
				b.WriteString("  " + p + ":\n")
				if strings.Contains(p, "{") {
					b.WriteString("    parameters: [{name: id, in: path, required: true, schema: {type: string}}]\n")
				}
				b.WriteString("    get: {responses: {'200': {description: ok}}}\n")
			}
			return b.String()
		}
		kept := rapid.IntRange(0, len(paths)).Draw(t, "kept")
		found, err := Reader{blobs{"a": doc(paths), "b": doc(paths[:kept])}}.Breaks(context.Background(), "openapi", "a", "b")
		if err != nil {
			t.Fatal(err)
		}
		if len(found) != len(paths)-kept {
			t.Fatalf("%d are gone of %v, found %+v", len(paths)-kept, paths, found)
		}
	})
}
