using System.Data.Common;
using System.Diagnostics;
using System.Net;
using System.Reflection;
using Frusta.Bus;
using Frusta.Contracts.Entities;
using Frusta.Contracts.Messages;
using Frusta.Controller;
using Frusta.Controller.Api;
using Frusta.Controller.Identities;
using Frusta.Invoker.Intake;
using Frusta.Journal;
using Frusta.Runtimes.Families;
using Frusta.Runtimes.Output;
using Frusta.Sandboxes;
using Frusta.Sandboxes.Makers;
using Frusta.Server.Configuration;
using Frusta.Server.Http;
using Frusta.Server.Metrics;
using Frusta.Sockets;
using Frusta.Store;
using Frusta.Store.Activations;
using Frusta.Store.Entities;

namespace Frusta.Server.Standalone;

/// <summary>Everything in one process: the rooms are made from the far end of the path to the near one, and closed the other way round.</summary>
internal static class StandaloneServer
{
    /// <summary>Runs until a signal asks for the end.</summary>
    /// <returns>The process' exit code.</returns>
    /// <exception cref="StartRefusedException">It cannot start; the message says why and what to do.</exception>
    public static async Task<int> RunAsync(FrustaOptions options)
    {
        using var shutdown = new Shutdown();
        try
        {
            await RunAsync(options, shutdown);
        }
        catch (OperationCanceledException) when (shutdown.Asked.IsCancellationRequested)
        {
            // It was asked to end before it was ready, and what was begun has been given back.
        }

        return 0;
    }

    private static async Task RunAsync(FrustaOptions options, Shutdown shutdown)
    {
        var started = Stopwatch.GetTimestamp();
        var clock = TimeProvider.System;
        using var exporter = new PrometheusExporter();
        using var trim = new MemoryTrim(clock);
        using var loggers = Logging.Create(options.Server);
        var (subjects, withStock) = ReadSubjects(options);
        var room = ConnectionRoom.Of(options.Server.MaxConnections);
        using var data = DataFolder.Open(options.Server.DataDir);

        // Sandboxes, and beside them the search for interpreters: neither waits for the disk.
        var (maker, apiEndpoint) = await MakeSandboxesAsync(options, clock, loggers, shutdown.Asked);
        await using var makerOwned = maker;
        var probing = RuntimeCatalog.ProbeAsync(options.Runtimes, ApiHost(options, apiEndpoint), options.Limits.MaxPayloadBytes, clock, shutdown.Asked);

        // The stores.
        await using var entities = OpenEntities(data, options, clock, loggers);
        var invalidation = new EmbeddedCacheInvalidation();
        var documents = new CachedEntityStore(entities, options.Controller.Cache, invalidation);
        await using var activations = OpenActivations(data, options, clock, loggers);

        // The invoker.
        var catalog = await probing;
        using var pump = new OutputPump(options.Runtimes.OutputTickMs);
        using var loops = new EventLoops(Math.Max(1, Environment.ProcessorCount / 2)); // the other cores are the sandboxes' (docs/decisions/0002)
        var factory = new RuntimeSandboxFactory(catalog, maker, loops, pump, options.Runtimes, options.Limits.MaxPayloadBytes, clock);
        await using var invoker = new InvokerRole(options.Invoker, options.Limits, documents, factory, clock, loggers);

        // The bus between it and the controller.
        using var accepted = SegmentedLog.Open(options.Bus.AcceptedLog(data.Journal), clock, loggers.CreateLogger<SegmentedLog>());
        invalidation.Deliver(invoker);
        var bus = new EmbeddedBus(accepted, activations, invoker, clock, options.Bus, loggers.CreateLogger<EmbeddedBus>());

        // The controller.
        var closable = new ClosableBus(bus);
        var operations = new Operations(
            exporter.Export, () => (invoker.Health is "up" ? 1 : 0, 1), () => bus.Snapshot().Pending, closable.Close);
        using var controller = new ControllerRole(
            options.Controller, options.Limits, RuntimesManifest.Stock, subjects.FindAsync, documents, activations, closable, operations, clock, loggers);

        await invoker.StartAsync(shutdown.Asked);
        var recovered = await RecoverAsync(bus, data, () => StopAsync(options, [], closable, bus, invoker), shutdown.Asked);

        // The doors: the API, and for functions in sandboxes their own, which serves the API alone. Whoever asks for the end now has it after them.
        await using var listener = new ApiListener(new IPEndPoint(IPAddress.Parse(options.Server.Host), options.Server.Port), options.Server, room.Api, loops, loggers);
        await listener.StartAsync(controller.Api.HandleAsync, CancellationToken.None);
        await using var inner = apiEndpoint is null ? null : new ApiListener(apiEndpoint, options.Server, room.Sandboxes, loops, loggers);
        if (inner is not null)
        {
            var api = controller.ApiFor(ReadInnerSubjects(options).FindAsync);
            await inner.StartAsync(context => SandboxDoor.HandleAsync(context, api), CancellationToken.None);
        }

        if (!shutdown.Asked.IsCancellationRequested)
        {
            StartScreen.Print(Console.Out, options, new StartFacts(
                Version(), listener.Port, withStock && !options.Subjects.ContainsKey("guest"), data.Path, [.. room.Report, .. ReportKeys(options, withStock, apiEndpoint), .. options.Warning is { } warning ? (string[])[warning] : []], maker.Report, catalog.Report,
                Describe(recovered), Stopwatch.GetElapsedTime(started)));
        }

        await shutdown.WaitAsync();
        await StopAsync(options, inner is null ? [listener] : [listener, inner], closable, bus, invoker);
    }

    private static SqliteEntityStore OpenEntities(DataFolder data, FrustaOptions options, TimeProvider clock, ILoggerFactory loggers)
    {
        try
        {
            return SqliteEntityStore.Open(data.Entities, options.Store.Entities, clock, loggers.CreateLogger<SqliteEntityStore>());
        }
        catch (Exception exception) when (IsOfStore(exception))
        {
            throw Unreadable("entities", data.Entities, exception);
        }
    }

    private static ActivationStore OpenActivations(DataFolder data, FrustaOptions options, TimeProvider clock, ILoggerFactory loggers)
    {
        try
        {
            return ActivationStore.Open(data.Activations, options.Store.Activations, clock, loggers.CreateLogger<ActivationStore>());
        }
        catch (Exception exception) when (IsOfStore(exception))
        {
            throw Unreadable("records of activations", data.Activations, exception);
        }
    }

    private static bool IsOfStore(Exception exception) => exception is DbException or StoreFormatException or IOException or UnauthorizedAccessException;

    private static StartRefusedException Unreadable(string what, string folder, Exception exception) => new(
        $"The {what} in '{folder}' cannot be read: {exception.Message.TrimEnd('.')}. Put the folder back from a backup, or name another data folder with --data-dir.");

    private static async Task<RecoverySummary> RecoverAsync(EmbeddedBus bus, DataFolder data, Func<Task> stop, CancellationToken cancellationToken)
    {
        try
        {
            return await bus.RecoverAsync(cancellationToken);
        }
        catch (OperationCanceledException)
        {
            await stop(); // some of what was left may run again by now
            throw;
        }
        catch (RecordRefusedException refused)
        {
            throw new StartRefusedException(
                $"What an earlier server left in '{data.Path}' cannot be given its records: {refused.Message} Make room on the disk and start again; nothing is lost.");
        }
    }

    /// <summary>In path order: no new call, what runs ends, what waits on disk stays there for the next start.</summary>
    private static async Task StopAsync(FrustaOptions options, ApiListener[] listeners, ClosableBus closable, EmbeddedBus bus, InvokerRole invoker)
    {
        closable.Close();
        var drain = TimeSpan.FromMilliseconds(options.Server.DrainMs);
        using var deadline = new CancellationTokenSource(drain);
        await bus.StopAsync(drain);
        await invoker.StopAsync(deadline.Token);
        foreach (var listener in listeners)
        {
            await listener.StopAsync(deadline.Token);
        }
    }

    private static (Subjects Subjects, bool WithStock) ReadSubjects(FrustaOptions options)
    {
        var withStock = IPAddress.IsLoopback(IPAddress.Parse(options.Server.Host)) || options.Server.AllowStockKeys;
        var problem = Subjects.Read(options.Subjects, withStock, out var subjects);
        return problem is null ? (subjects!, withStock) : throw new StartRefusedException(problem);
    }

    /// <summary>
    /// Who may call from a sandbox. Everybody knows the stock keys, so that a function of a further subject could act as another namespace with them;
    /// where there are no further subjects they are all that a function can be given.
    /// </summary>
    private static Subjects ReadInnerSubjects(FrustaOptions options)
    {
        Subjects.Read(options.Subjects, options.Subjects.Count == 0 || options.Server.AllowStockKeys, out var subjects);
        return subjects!;
    }

    private static string[] ReportKeys(FrustaOptions options, bool withStock, IPEndPoint? apiEndpoint) =>
        withStock && apiEndpoint is not null && options.Subjects.Count > 0 && !options.Server.AllowStockKeys
            ? ["the stock keys from outside only: to functions, some of which are other subjects', Server:AllowStockKeys=true would open them"]
            : [];

    private static async Task<(ISandboxMaker Maker, IPEndPoint? ApiEndpoint)> MakeSandboxesAsync(
        FrustaOptions options, TimeProvider clock, ILoggerFactory loggers, CancellationToken cancellationToken)
    {
        try
        {
            return await SandboxMakers.CreateAsync(options.Sandboxes, clock, loggers, cancellationToken);
        }
        catch (InvalidOperationException refused)
        {
            throw new StartRefusedException(refused.Message);
        }
    }

    private static string ApiHost(FrustaOptions options, IPEndPoint? apiEndpoint) =>
        $"http://{apiEndpoint ?? options.Server.Reached(options.Server.Port)}";

    private static List<string> Describe(RecoverySummary recovered)
    {
        (int Count, string What)[] facts =
        [
            (recovered.DeliveredAgain, "accepted and not yet run, which run now"),
            (recovered.Interrupted, "interrupted, which have their record"),
            (recovered.TooOld, "too old to be run, which have their record"),
            (recovered.TriggersRecorded, "fired triggers without a record, which have it now"),
        ];
        return [.. facts.Where(fact => fact.Count > 0).Select(fact => $"{fact.Count} {fact.What}")];
    }

    private static string Version() =>
        typeof(StandaloneServer).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion.Split('+')[0];
}
