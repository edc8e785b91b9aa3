using System.Text;
using Frusta.Bus;
using Frusta.Contracts.Buffers;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Messages;
using Frusta.Contracts.Names;
using Frusta.Invoker.Intake;
using Microsoft.Extensions.Logging.Abstractions;

namespace Frusta.Invoker.Tests.Run;

/// <summary>An invoker with fake sandboxes, without stem cells unless the test asks for them.</summary>
internal sealed class InvokerFixture : IAsyncDisposable
{
    public const string Code = "function main(a) { return a; }";

    public FakeFactory Factory { get; } = new();

    public FakeStore Store { get; } = new();

    public InvokerOptions Options { get; } = new()
    {
        DrainMs = 2000,
        StemCells = new(StringComparer.Ordinal),
        Pool = new() { Memory = 64 * 1024, StartsAtOnce = 8 },
    };

    public LimitsOptions Limits { get; } = new();

    public InvokerRole? Role { get; private set; }

    public async Task<InvokerFixture> StartAsync()
    {
        Role = new InvokerRole(Options, Limits, Store, Factory, TimeProvider.System, NullLoggerFactory.Instance);
        await Role.StartAsync(CancellationToken.None);
        return this;
    }

    public ExecutableAction Action(string name = "hello", string kind = "nodejs:20", string revision = "1-a", ActionLimits? limits = null, bool apiKey = false, bool network = true)
    {
        var fullName = new FullyQualifiedName("guest", null, name);
        Store.Code[fullName.DocumentId] = Encoding.UTF8.GetBytes(Code);
        Store.Keep(fullName, revision, kind);
        return new ExecutableAction(fullName, "0.0.1", revision, kind, null, Binary: false, "code", limits ?? new ActionLimits(), apiKey, network);
    }

    public static Identity User(string name = "guest", NamespaceLimits? limits = null) =>
        new(name, name, $"uuid-of-{name}", $"uuid-of-{name}:secret", limits ?? NamespaceLimits.None);

    public static ActivationMessage Message(ExecutableAction action, string arguments = "{}", Identity? user = null, string? traceParent = null, params string[] init) => new()
    {
        Id = ActivationId.New(TimeProvider.System),
        TransactionId = "tid",
        ArrivedMs = TimeProvider.System.GetUtcNow().ToUnixTimeMilliseconds(),
        Action = action.Name,
        ActionVersion = action.Version,
        ActionRevision = action.Revision,
        User = user ?? User(),
        Blocking = true,
        Content = PooledBuffer.Copy(Encoding.UTF8.GetBytes(arguments)),
        InitArguments = init,
        TraceParent = traceParent,
    };

    public static FakeDelivery Delivery(ExecutableAction action) => new(Message(action), action);

    /// <summary>Sends the message with its action, as a controller in the same process does, or without.</summary>
    public FakeDelivery Send(ActivationMessage message, ExecutableAction? action = null)
    {
        var delivery = new FakeDelivery(message, action);
        Assert.Equal(SendOutcome.Sent, Role!.Receive(delivery));
        return delivery;
    }

    public FakeDelivery Send(ExecutableAction action, string arguments = "{}", Identity? user = null) => Send(Message(action, arguments, user), action);

    public ValueTask DisposeAsync() => Role?.DisposeAsync() ?? ValueTask.CompletedTask;
}
