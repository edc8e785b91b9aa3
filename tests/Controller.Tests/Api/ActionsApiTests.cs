using System.Text.Json;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Names;
using Frusta.Controller.Api;
using Frusta.Controller.Tests.Entities;

namespace Frusta.Controller.Tests.Api;

/// <summary>What answers with an action and its code hold.</summary>
public sealed class ActionsApiTests
{
    private const int Mebibyte = 1024 * 1024;

    private readonly ByteBudget _budget = new(new ByteBudgetOptions { MaxBytes = 64 * Mebibyte, MaxSmallBytes = 16 * Mebibyte });
    private readonly ActionDocument _action = new()
    {
        Name = new FullyQualifiedName("acme", null, "large"),
        Version = "0.0.1",
        UpdatedMs = 1,
        Revision = "1-a",
        Exec = new ActionExec("nodejs:20"),
    };

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_answer_holds_the_code_and_all_that_stands_around_it(bool withCode)
    {
        var code = Code(1000);
        var answer = EntityJson.Action(_action, withCode ? code : code with { Bytes = null }, Parameters(4 * Mebibyte), binding: null);

        Assert.Equal(200, answer.Status);
        Assert.InRange(_budget.HeldBytes, (4 * Mebibyte) + 1000, (4 * Mebibyte) + 3000);
        answer.Discard();
        Assert.Equal(0, _budget.HeldBytes);
    }

    [Fact]
    public void An_answer_that_there_is_no_room_for_is_refused_and_holds_nothing()
    {
        var code = Code(14 * Mebibyte); // of the 16 that a namespace has
        Assert.Equal(503, EntityJson.Action(_action, code, Parameters(4 * Mebibyte), binding: null).Status);
        Assert.Equal(0, _budget.HeldBytes);
    }

    [Fact]
    public async Task Nothing_is_written_that_cannot_be_answered()
    {
        var options = new ControllerOptions();
        options.Answers.MaxBytes = 64 * Mebibyte;
        using var api = new TestApi(new MemoryStore(), options);
        var code = new string('x', (16 * Mebibyte) - 2000);
        var note = new string('n', 100_000);
        string Body(bool withNote) => JsonSerializer.Serialize(new
        {
            exec = new { kind = "nodejs:20", code },
            parameters = withNote ? new[] { new { key = "note", value = note } } : [],
        });

        Assert.Equal(503, (await api.SendAsync("PUT", "actions/large", Body(withNote: true))).Status);
        Assert.Equal(404, (await api.SendAsync("GET", "actions/large?code=false")).Status);
        Assert.Equal(200, (await api.SendAsync("PUT", "actions/large", Body(withNote: false))).Status);
        Assert.Equal(200, (await api.SendAsync("GET", "actions/large?code=false")).Status);
    }

    private AnsweredCode Code(int bytes)
    {
        var lease = _budget.Of("acme").Begin();
        Assert.True(lease.TryHold(bytes));
        return new AnsweredCode(new byte[bytes], Owner: null, lease);
    }

    private static KeyValue[] Parameters(int bytes)
    {
        var value = new byte[bytes];
        value.AsSpan().Fill((byte)'1');
        value[0] = value[^1] = (byte)'"';
        return [new KeyValue("note", value)];
    }
}
