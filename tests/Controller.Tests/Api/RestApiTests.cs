using System.Text;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;
using Frusta.Controller.Api;
using Frusta.Controller.Identities;
using Frusta.Controller.Tests.Invocation;
using Frusta.Store;
using Frusta.Store.Entities;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.Extensions.Logging;

namespace Frusta.Controller.Tests.Api;

public sealed class RestApiTests
{
    private const string Key = "23bc46b1-71f6-4ed5-8c54-816aa4f8c502:123zO3xZCLrMN6v2BKK1dXYFpXlPkccOFqm12CdAsMgRU4VrNZ9lyGVCGuMDGIwP";

    public static TheoryData<string> Writes => ["PUT", "DELETE"];

    [Theory]
    [MemberData(nameof(Writes))]
    public async Task A_write_that_the_disk_has_no_room_for_is_answered_as_a_call_is(string method)
    {
        var said = new TestLog();
        var context = await AnswerAsync(method, new RefusingStore(new StoreFullException("No room.", new IOException())), said);

        Assert.Equal(503, context.Response.StatusCode);
        Assert.Equal("7", context.Response.Headers.RetryAfter);
        Assert.Contains("The server is currently unavailable", Body(context), StringComparison.Ordinal);
        Assert.Equal(0, said.CountExceptions());
    }

    [Fact]
    public async Task A_write_that_finds_too_many_waiting_is_answered_as_a_call_is()
    {
        var said = new TestLog();
        var context = await AnswerAsync("PUT", new RefusingStore(new StoreOverloadedException("Too many.")), said);

        Assert.Equal(503, context.Response.StatusCode);
        Assert.Equal("7", context.Response.Headers.RetryAfter);
        Assert.Equal(0, said.CountExceptions());
    }

    /// <summary>The second is refused while its answer is made, when the status could still be another.</summary>
    [Theory]
    [InlineData("GET", "triggers/paid")]
    [InlineData("GET", "triggers")]
    public async Task A_read_that_there_is_no_room_for_is_answered_as_a_call_is(string method, string target)
    {
        foreach (var refusal in new Exception[] { new HostMemoryException("No addresses."), new StoreOverloadedException("Too many."), new InsufficientMemoryException() })
        {
            var said = new TestLog();
            var context = await AnswerAsync(method, new RefusingStore(refusal) { IsRead = false }, said, target);

            Assert.Equal(503, context.Response.StatusCode);
            Assert.Equal("7", context.Response.Headers.RetryAfter);
            Assert.Contains("The server is currently unavailable", Body(context), StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData("actions/hello", "{", 400)]
    [InlineData("actions/hello", "[]", 400)]
    [InlineData("actions/gone", "{}", 404)]
    [InlineData("actions/paid", "{}", 409)]
    [InlineData("actions/broken", "{}", 500)]
    [InlineData("actions/thrown", "{}", 500)]
    [InlineData("actions/hello?blocking=perhaps", "{}", 400)]
    [InlineData("actions/hello?timeout=-1", "{}", 400)]
    [InlineData("actions/large", null, 413)]
    [InlineData("actions/aborted", null, 200)]
    [InlineData("actions/hello", "{}", 503)]
    [InlineData("triggers/paid", "{}", 202)]
    public async Task Every_way_out_gives_the_place_in_flight_back(string target, string? body, int status)
    {
        Assert.Null(Subjects.Read(new Dictionary<string, string>(StringComparer.Ordinal) { ["acme"] = Key }, withStock: false, out var subjects));
        var limits = new LimitsOptions { InvocationsPerMinute = 1000, FiresPerMinute = 1000, ConcurrentInvocations = 1 };
        var operations = new Operations(() => "", () => (1, 1), () => 0, () => { });
        var bus = new FakeBus { Outcome = status == 202 ? Frusta.Bus.SendOutcome.Sent : Frusta.Bus.SendOutcome.Full };
        var said = new TestLog();
        using var controller = new ControllerRole(
            new ControllerOptions(), limits, RuntimesManifest.Stock, subjects!.FindAsync, new NamesStore(), null!, bus, operations, TimeProvider.System, new OneLog(said));
        for (var i = 0; i < 3; i++)
        {
            var context = Request("POST", target, body ?? "{}");
            context.Request.ContentLength = body is null && target.EndsWith("large", StringComparison.Ordinal) ? 1 << 30 : context.Request.ContentLength;
            context.RequestAborted = new CancellationToken(canceled: target.EndsWith("aborted", StringComparison.Ordinal));
            await controller.Api.HandleAsync(context);
            Assert.Equal(status, context.Response.StatusCode);
        }
    }

    private static DefaultHttpContext Request(string method, string target, string body)
    {
        var context = new DefaultHttpContext();
        var bytes = Encoding.UTF8.GetBytes(body);
        context.Request.Method = method;
        context.Request.ContentType = "application/json";
        context.Request.Body = new MemoryStream(bytes);
        context.Request.ContentLength = bytes.Length;
        context.Request.Headers.Authorization = "Basic " + Convert.ToBase64String(Encoding.ASCII.GetBytes(Key));
        context.Features.GetRequiredFeature<IHttpRequestFeature>().RawTarget = "/api/v1/namespaces/_/" + target;
        var query = target.IndexOf('?', StringComparison.Ordinal);
        context.Request.QueryString = new QueryString(query < 0 ? null : target[query..]);
        context.Response.Body = new MemoryStream();
        return context;
    }

    private static async Task<HttpContext> AnswerAsync(
        string method, IEntityStore store, TestLog log, string target = "triggers/paid?overwrite=true")
    {
        Assert.Null(Subjects.Read(new Dictionary<string, string>(StringComparer.Ordinal) { ["acme"] = Key }, withStock: false, out var subjects));
        var options = new ControllerOptions();
        options.Invocation.RetryAfterSeconds = 7;
        var operations = new Operations(() => "", () => (1, 1), () => 0, () => { });
        using var controller = new ControllerRole(
            options, new LimitsOptions(), RuntimesManifest.Stock, subjects!.FindAsync, store, null!, new FakeBus(), operations, TimeProvider.System, new OneLog(log));

        var context = Request(method, target, "{}");
        await controller.Api.HandleAsync(context);
        return context;
    }

    private static string Body(HttpContext context) => Encoding.UTF8.GetString(((MemoryStream)context.Response.Body).ToArray());

    /// <summary>Holds one trigger and takes no write.</summary>
    private sealed class RefusingStore(Exception refusal) : RefusingEntityStore
    {
        /// <summary>False for one that cannot be read either.</summary>
        public bool IsRead { get; init; } = true;

        public override ValueTask<EntityDocument?> GetAsync(string documentId, CancellationToken cancellationToken) => IsRead ? new(new TriggerDocument
        {
            Name = new Contracts.Names.FullyQualifiedName("acme", null, "paid"),
            Version = "0.0.1",
            UpdatedMs = 1,
            Revision = "1-a",
        }) : ValueTask.FromException<EntityDocument?>(refusal);

        public override ValueTask<string?> PutAsync(EntityDocument document, ReadOnlyMemory<byte>? code, CancellationToken cancellationToken) =>
            ValueTask.FromException<string?>(refusal);

        public override ValueTask<bool> DeleteAsync(string documentId, string revision, CancellationToken cancellationToken) =>
            ValueTask.FromException<bool>(refusal);

        public override ValueTask<IReadOnlyList<ListedEntity>> ListAsync(EntityQuery query, CancellationToken cancellationToken) =>
            new([new ListedEntity("acme/paid", "1-a", 100)]);

        public override ValueTask<IReadOnlyList<EntityDocument>> GetSummariesAsync(IReadOnlyList<ListedEntity> page, CancellationToken cancellationToken) =>
            ValueTask.FromException<IReadOnlyList<EntityDocument>>(refusal);

        public override ValueTask<int> CountAsync(EntityQuery query, CancellationToken cancellationToken) => new(0);

        public override ValueTask<byte[]?> GetCodeAsync(string documentId, string attachment, CancellationToken cancellationToken) => new((byte[]?)null);
    }

    /// <summary>Has a document of another kind under each of some names; two of them cannot be read.</summary>
    private sealed class NamesStore : RefusingEntityStore
    {
        /// <summary>Name of the thread that last came with a write.</summary>
        public string? Thread { get; set; }

        private bool Worked()
        {
            WorkedOn();
            return false;
        }

        public void WorkedOn() => Thread = System.Threading.Thread.CurrentThread.Name;

        public override ValueTask<EntityDocument?> GetAsync(string documentId, CancellationToken cancellationToken) => documentId switch
        {
            "acme/hello" or "acme/large" or "acme/aborted" => new(new ActionDocument
            {
                Name = new Contracts.Names.FullyQualifiedName("acme", null, documentId[5..]),
                Version = "0.0.1",
                UpdatedMs = 1,
                Revision = "1-a",
                Exec = new ActionExec("nodejs:20"),
            }),
            "acme/paid" => new(new TriggerDocument
            {
                Name = new Contracts.Names.FullyQualifiedName("acme", null, "paid"),
                Version = "0.0.1",
                UpdatedMs = 1,
                Revision = "1-a",
                Rules = Enumerable.Range(0, 4).ToDictionary(
                    i => $"acme/r{i}", _ => new RuleLink(new Contracts.Names.FullyQualifiedName("acme", null, "gone"), Active: true), StringComparer.Ordinal),
            }),
            "acme/r0" when Worked() => throw new InvalidOperationException(),
            "acme/r0" or "acme/r1" or "acme/r2" or "acme/r3" => new(new RuleDocument
            {
                Name = new Contracts.Names.FullyQualifiedName("acme", null, documentId[5..]),
                Version = "0.0.1",
                UpdatedMs = 1,
                Revision = "1-a",
                Trigger = new Contracts.Names.FullyQualifiedName("acme", null, "paid"),
                Action = new Contracts.Names.FullyQualifiedName("acme", null, "gone"),
            }),
            "acme/broken" => throw new CorruptEntityException(documentId),
            "acme/thrown" => throw new IOException("The disk is gone."),
            _ => new((EntityDocument?)null),
        };

        public override ValueTask<string?> PutAsync(EntityDocument document, ReadOnlyMemory<byte>? code, CancellationToken cancellationToken)
        {
            WorkedOn();
            return new ValueTask<string?>("2-b");
        }
    }

    /// <summary>Gives all one log.</summary>
    private sealed class OneLog(TestLog log) : ILoggerFactory
    {
        public ILogger CreateLogger(string categoryName) => log;

        public void AddProvider(ILoggerProvider provider)
        {
        }

        public void Dispose()
        {
        }
    }
}
