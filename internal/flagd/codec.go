package flagd

import (
	"errors"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

// codec is JSON as flagd writes it, with the fields that have their zero value; false and 0 are answers, after all.
type codec struct{ name string }

func (c codec) Name() string { return c.name }

// IsBinary makes Connect's GET requests carry it as text.
func (c codec) IsBinary() bool { return false }

var errNoMessage = errors.New("this is no protobuf message")

func (c codec) Marshal(v any) ([]byte, error) {
	m, ok := v.(proto.Message)
	if !ok {
		return nil, errNoMessage
	}
	return protojson.MarshalOptions{EmitUnpopulated: true}.Marshal(m)
}

func (c codec) Unmarshal(data []byte, v any) error {
	m, ok := v.(proto.Message)
	if !ok {
		return errNoMessage
	}
	if len(data) == 0 {
		return errors.New("an empty body is no JSON")
	}
	return protojson.UnmarshalOptions{DiscardUnknown: true}.Unmarshal(data, m)
}
