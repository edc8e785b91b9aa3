using System.Buffers;
using System.Text;
using System.Text.Json.Nodes;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;

namespace Frusta.Contracts.Tests.Messages;

public sealed class ActivationMessageCodecTests
{
    [Fact]
    public void A_message_survives_its_JSON()
    {
        var sent = Message(PooledBuffer.Copy("{\"a\":[1,\"ü\"],\"n\":1e400}"u8));
        var written = new ArrayBufferWriter<byte>();
        ActivationMessageCodec.Write(sent, written);

        Assert.True(ActivationMessageCodec.TryParse(written.WrittenSpan, out var read));

        Assert.Equal(sent.Id, read.Id);
        Assert.Equal(sent.Cause, read.Cause);
        Assert.Equal(sent.TraceParent, read.TraceParent);
        Assert.Equal((sent.TransactionId, sent.ArrivedMs, sent.ForceStore), (read.TransactionId, read.ArrivedMs, read.ForceStore));
        Assert.Equal((sent.Action, sent.ActionVersion, sent.ActionRevision, sent.Binding), (read.Action, read.ActionVersion, read.ActionRevision, read.Binding));
        Assert.Equal(sent.User with { Limits = NamespaceLimits.None }, read.User with { Limits = NamespaceLimits.None });
        Assert.Equal(["nodejs:20", "python:3"], read.User.Limits.AllowedKinds);
        Assert.Equal((7, false, 2L << 20), (read.User.Limits.ConcurrentInvocations, read.User.Limits.StoreActivations, read.User.Limits.MaxPayloadSize));
        Assert.Equal(sent.InitArguments, read.InitArguments);
        Assert.True(sent.Content.Span.SequenceEqual(read.Content.Span));
    }

    [Fact]
    public void It_has_the_form_that_OpenWhisk_reads()
    {
        var written = new ArrayBufferWriter<byte>();
        ActivationMessageCodec.Write(Message(PooledBuffer.Copy("{}"u8)), written);

        var message = JsonNode.Parse(written.WrittenSpan)!.AsObject();

        Assert.Equal("""["tid",1765432100123,true]""", message["transid"]!.ToJsonString());
        Assert.Equal("""{"path":"acme/orders","name":"price","version":"0.0.7","binding":"zoe/shop"}""", message["action"]!.ToJsonString());
        Assert.Equal("""{"asString":"0","instanceType":"controller"}""", message["rootControllerIndex"]!.ToJsonString());
        Assert.Equal("""{"api_key":"uuid:key"}""", message["user"]!["authkey"]!.ToJsonString());
        Assert.Equal("{}", message["lockedArgs"]!.ToJsonString());
    }

    [Theory]
    [InlineData("")]
    [InlineData("[]")]
    [InlineData("{}")]
    [InlineData("{\"activationId\":1}")]
    [InlineData("{\"activationId\":\"3f0c9b1d2e4a4c558a7b6c5d4e3f2a1b\"}")]
    [InlineData("{\"user\":[],\"action\":\"a/b\"}")]
    public void What_is_no_message_is_refused(string text) =>
        Assert.False(ActivationMessageCodec.TryParse(Encoding.UTF8.GetBytes(text), out _));

    [Fact]
    public void A_message_of_a_Scala_controller_is_read()
    {
        var text = """
            {"transid":["k7Q",1765432100123,["parent",1765432100100]],"action":"acme/orders/price","revision":null,"surprise":{"a":[]},
             "user":{"subject":"zoe.dev","namespace":{"name":"zoe","uuid":"u"},"authkey":{"api_key":"u:k"},"rights":[],"limits":{"concurrentInvocations":"no"}},
             "activationId":"3f0c9b1d2e4a4c558a7b6c5d4e3f2a1b","rootControllerIndex":{"asString":"0"},"blocking":true,"content":[1, 2],"initArgs":[],"lockedArgs":{},
             "traceContext":{"X-B3-TraceId":"1","X-B3-SpanId":"2"}}
            """;

        Assert.True(ActivationMessageCodec.TryParse(Encoding.UTF8.GetBytes(text), out var message));

        Assert.Equal("k7Q", message.TransactionId);
        Assert.Equal(new FullyQualifiedName("acme", "orders", "price"), message.Action);
        Assert.Equal("[1, 2]", Encoding.UTF8.GetString(message.Content.Span));
        Assert.Equal(NamespaceLimits.None, message.User.Limits);
    }

    private static ActivationMessage Message(PooledBuffer content) => new()
    {
        Id = ActivationId.New(TimeProvider.System),
        Cause = ActivationId.New(TimeProvider.System),
        TraceParent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        TransactionId = "tid",
        ArrivedMs = 1765432100123,
        ForceStore = true,
        Action = new FullyQualifiedName("acme", "orders", "price"),
        ActionVersion = "0.0.7",
        ActionRevision = "7-5d0f",
        Binding = "zoe/shop",
        User = new Identity("zoe.dev", "zoe", "uuid", "uuid:key", new NamespaceLimits
        {
            ConcurrentInvocations = 7,
            AllowedKinds = ["nodejs:20", "python:3"],
            StoreActivations = false,
            MaxPayloadSize = 2 << 20,
        }),
        Blocking = true,
        Content = content,
        InitArguments = ["a"],
    };
}
