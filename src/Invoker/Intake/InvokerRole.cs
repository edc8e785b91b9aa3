using Frusta.Bus;
using Frusta.Contracts.Limits;
using Frusta.Contracts.Messages;
using Frusta.Invoker.Pool;
using Frusta.Invoker.Run;
using Frusta.Invoker.Serve;
using Frusta.Runtimes;
using Frusta.Store.Entities;
using Microsoft.Extensions.Logging;

namespace Frusta.Invoker.Intake;

/// <summary>The invoker of one machine and its life: opened, closed, drained. <see cref="ReceiveActivations"/> begins the way of an activation.</summary>
public sealed class InvokerRole : IActivationIntake, ICacheInvalidationIntake, IAsyncDisposable
{
    private static readonly TimeSpan DrainLook = TimeSpan.FromMilliseconds(5);

    private readonly InvokerOptions _options;
    private readonly PoolClock _clock;
    private readonly ServeActivations _serve;
    private readonly RetireActions _retire;
    private readonly ReceiveActivations _receive;
    private readonly CancellationTokenSource _stopping = new();
    private volatile bool _closed = true;

    /// <param name="options">How this invoker uses its machine.</param>
    /// <param name="limits">The system's limits.</param>
    /// <param name="store">Where actions and their code are read.</param>
    /// <param name="factory">Makes sandboxes with a runtime in them.</param>
    /// <param name="time">The clock.</param>
    /// <param name="loggers">Makes the logger.</param>
    public InvokerRole(InvokerOptions options, LimitsOptions limits, IEntityStore store, ISandboxFactory factory, TimeProvider time, ILoggerFactory loggers)
    {
        var logger = loggers.CreateLogger<InvokerRole>();
        _options = options;
        _clock = new PoolClock(time);
        _serve = new ServeActivations(options, limits, store, factory, _clock, logger);
        _retire = new RetireActions(store, _serve.Pool, logger, _stopping.Token);
        _receive = new ReceiveActivations(options, limits, store, factory, _serve, _retire, _clock, logger, _stopping.Token);
        _serve.Again = _receive;
    }

    /// <summary><c>up</c>, <c>unhealthy</c> (no sandbox has come up lately) or <c>down</c>, as <c>/invokers</c> shows it.</summary>
    public string Health => _closed ? "down" : _serve.Pool.StartsSucceed ? "up" : "unhealthy";

    /// <summary>What the pool holds now.</summary>
    internal PoolCounts Pool => _serve.Pool.Count();

    /// <summary>Name that operators see, such as <c>invoker0/0</c>.</summary>
    public string Name => $"invoker{_options.Number}/{_options.Number}";

    /// <summary>Opens the intake. Stem cells are started in the background.</summary>
    public Task StartAsync(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        _closed = false;
        InvokerMetrics.Watch(_serve.Pool.Count);
        _serve.Pool.Start();
        return Task.CompletedTask;
    }

    /// <summary>
    /// Closes the intake, lets activations that run or wait end until <see cref="InvokerOptions.DrainMs"/> have passed or the token
    /// is cancelled, breaks off the rest (it gets its record), and ends all sandboxes.
    /// </summary>
    public async Task StopAsync(CancellationToken cancellationToken)
    {
        if (_closed)
        {
            return;
        }

        _closed = true;
        await WaitAsync(TimeSpan.FromMilliseconds(_options.DrainMs), () => Pool is not { Running: 0, Queued: 0, Busy: 0 }, cancellationToken);
        _serve.Interrupt();
        await _stopping.CancelAsync();
        await _serve.Pool.CloseAsync();
        _serve.Pool.Timer.AbortAll();
        await WaitAsync(TimeSpan.FromSeconds(5), () => _serve.Pool.Timer.Count > 0, CancellationToken.None);
    }

    public async ValueTask DisposeAsync()
    {
        await StopAsync(new CancellationToken(canceled: true));
        _serve.Dispose();
        _stopping.Dispose();
    }

    public SendOutcome Receive(IDelivery delivery) => _closed ? SendOutcome.Full : _receive.Receive(delivery);

    public SendOutcome Reserve(IDelivery delivery, out IReservedPlace? place)
    {
        place = null;
        return _closed ? SendOutcome.Full : _receive.Reserve(delivery, out place);
    }

    /// <summary>A document was written or deleted: if it is that of an action with sandboxes, the sandboxes of its other revisions end.</summary>
    public void Invalidated(string documentId)
    {
        if (_serve.Pool.Knows(documentId))
        {
            _retire.Look(documentId);
        }
    }

    private async Task WaitAsync(TimeSpan most, Func<bool> isBusy, CancellationToken cancellationToken)
    {
        var began = _clock.Time.GetTimestamp();
        while (isBusy() && !cancellationToken.IsCancellationRequested && _clock.Time.GetElapsedTime(began) < most)
        {
            await Task.Delay(DrainLook, _clock.Time, CancellationToken.None);
        }
    }
}
