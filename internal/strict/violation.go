package strict

// Violation is why a request, or a connection, is refused.
type Violation struct {
	Reason string // one word or a few, joined by _, to count by
	Status int    // to answer with; 0: with nothing, as it is no HTTP
	Detail string // for whoever sent it
}

func (v *Violation) Error() string { return v.Detail }

func bad(reason, detail string) *Violation { return &Violation{reason, 400, detail} }

// What Requests refuses, in the order in which it is looked for.
var (
	notHTTP       = &Violation{"not_http", 0, "the connection does not begin with an HTTP request"}
	bareLF        = bad("bare_lf", "a line ends with a line feed alone, where a carriage return must come before it")
	bareCR        = bad("bare_cr", "a carriage return stands alone, where a line feed must follow it")
	control       = bad("control_character", "a control character stands where none may")
	requestLine   = bad("request_line", "the request line is not a method, a target and HTTP/1.0 or HTTP/1.1, with one space between each")
	emptyLine     = bad("empty_line", "an empty line comes before the request line")
	folded        = bad("folded_header", "a header line begins with white space: folded lines are not accepted")
	badName       = bad("header_name", "the name of a header field has a character that it may not have, white space before the colon included")
	underscore    = bad("header_underscore", "the name of a header field has an underscore, which many servers cannot tell from a hyphen")
	badHost       = bad("host", "the Host field is missing, repeated, or not a host and port")
	hostMismatch  = bad("host_mismatch", "the target names another host than the Host field")
	badTarget     = bad("target", "the target of the request is not a path, an http or https URL, or * for OPTIONS")
	badEscape     = bad("target_escape", "the target has a percent sign without two hexadecimal digits after it, or %00")
	badDots       = bad("target_dots", "the path goes up or stays in the tree by dots, slashes or backslashes that are escaped")
	badLength     = bad("content_length", "Content-Length is repeated, or not a decimal number")
	lengthAndTE   = bad("length_and_chunks", "Content-Length and Transfer-Encoding cannot both be given")
	badTE         = bad("transfer_encoding", "Transfer-Encoding is repeated, sent by HTTP/1.0, or not a list of codings")
	unknownTE     = &Violation{"transfer_encoding", 501, "the only transfer coding that is understood is chunked"}
	headTooLarge  = &Violation{"head_too_large", 431, "the head of the request is too large, or has too many lines"}
	chunkSize     = bad("chunk_size", "the size of a chunk is not a hexadecimal number that ends with its line or with a semicolon")
	chunkExt      = bad("chunk_extension", "the extension of a chunk is too long, or has a character that it may not have")
	chunkEnd      = bad("chunk_end", "a chunk is not followed by the end of a line where its size says that it ends")
	trailerField  = bad("trailer", "a trailer field may not have that name, or there are too many of them")
	afterLast     = bad("after_last", "something follows a request that was to be the last of its connection")
	emptyConnName = bad("connection_option", "the Connection field names a field that concerns the message, not the connection")
)
