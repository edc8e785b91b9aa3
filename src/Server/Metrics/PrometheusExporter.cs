using System.Collections.Concurrent;
using System.Diagnostics.Metrics;
using System.Globalization;
using System.Text;

namespace Frusta.Server.Metrics;

/// <summary>Collects the instruments of every meter named <c>Frusta.*</c> and writes them in Prometheus' text form.</summary>
public sealed class PrometheusExporter : IDisposable
{
    /// <summary>Greatest number of series of one instrument; measurements with further labels are counted in the series without labels.</summary>
    private const int MaxSeries = 1000;

    private static readonly double[] Bounds =
        [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];

    private readonly MeterListener _listener = new();
    private readonly ConcurrentDictionary<Instrument, Family> _families = new();

    public PrometheusExporter()
    {
        _listener.InstrumentPublished = (instrument, listener) =>
        {
            if (instrument.Meter.Name.StartsWith("Frusta.", StringComparison.Ordinal))
            {
                var family = new Family(instrument);
                _families[instrument] = family;
                listener.EnableMeasurementEvents(instrument, family);
            }
        };
        _listener.SetMeasurementEventCallback<int>(static (_, value, tags, state) => ((Family)state!).Record(value, tags));
        _listener.SetMeasurementEventCallback<long>(static (_, value, tags, state) => ((Family)state!).Record(value, tags));
        _listener.SetMeasurementEventCallback<double>(static (_, value, tags, state) => ((Family)state!).Record(value, tags));
        _listener.Start();
    }

    public void Dispose() => _listener.Dispose();

    /// <summary>All measurements so far in Prometheus' text form, one family after another in the order of their names.</summary>
    public string Export()
    {
        _listener.RecordObservableInstruments();
        var text = new StringBuilder(16 * 1024);
        foreach (var family in _families.Values.OrderBy(family => family.Name, StringComparer.Ordinal))
        {
            family.Write(text);
        }

        return text.ToString();
    }

    private enum Shape
    {
        Counter,
        UpDown,
        Gauge,
        Histogram,
    }

    private sealed class Family(Instrument instrument)
    {
        private readonly Series _plain = new();
        private readonly ConcurrentDictionary<string, Series> _labelled = new(StringComparer.Ordinal);

        private readonly Shape _shape = instrument switch
        {
            Counter<int> or Counter<long> or Counter<double> or ObservableCounter<long> or ObservableCounter<int> or ObservableCounter<double> => Shape.Counter,
            UpDownCounter<int> or UpDownCounter<long> or UpDownCounter<double> => Shape.UpDown,
            Histogram<int> or Histogram<long> or Histogram<double> => Shape.Histogram,
            _ => Shape.Gauge,
        };

        private readonly bool _observed = instrument.IsObservable;

        public string Name { get; } = instrument.Name;

        public void Record(double value, ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            var series = tags.IsEmpty ? _plain : Labelled(tags);
            switch (_shape)
            {
                case Shape.Histogram:
                    series.Observe(value);
                    break;
                case Shape.Gauge:
                    series.Set(value);
                    break;
                default:
                    if (_observed)
                    {
                        series.Set(value);
                    }
                    else
                    {
                        series.Add(value);
                    }

                    break;
            }
        }

        public void Write(StringBuilder text)
        {
            var name = _shape == Shape.Counter ? Name + "_total" : Name;
            var type = _shape switch { Shape.Counter => "counter", Shape.Histogram => "histogram", _ => "gauge" };
            text.Append("# TYPE ").Append(name).Append(' ').Append(type).Append('\n');
            if (instrument.Description is { Length: > 0 } description)
            {
                text.Append("# HELP ").Append(name).Append(' ').Append(description).Append('\n');
            }

            if (_plain.Used)
            {
                _plain.Write(text, name, "", _shape == Shape.Histogram);
            }

            foreach (var (labels, series) in _labelled)
            {
                series.Write(text, name, labels, _shape == Shape.Histogram);
            }
        }

        private Series Labelled(ReadOnlySpan<KeyValuePair<string, object?>> tags)
        {
            var labels = new StringBuilder();
            foreach (var (key, value) in tags)
            {
                var escaped = Convert.ToString(value, CultureInfo.InvariantCulture)?
                    .Replace("\\", "\\\\", StringComparison.Ordinal)
                    .Replace("\"", "\\\"", StringComparison.Ordinal)
                    .Replace("\n", "\\n", StringComparison.Ordinal);
                labels.Append(labels.Length == 0 ? "" : ",").Append(key).Append("=\"").Append(escaped).Append('"');
            }

            var text = labels.ToString();
            return _labelled.TryGetValue(text, out var series) ? series
                : _labelled.Count >= MaxSeries ? _plain
                : _labelled.GetOrAdd(text, static _ => new Series());
        }
    }

    private sealed class Series
    {
        private readonly Lock _gate = new();
        private long[]? _buckets;
        private double _sum;
        private long _count;

        public bool Used { get; private set; }

        public void Add(double value)
        {
            lock (_gate)
            {
                Used = true;
                _sum += value;
            }
        }

        public void Set(double value)
        {
            lock (_gate)
            {
                Used = true;
                _sum = value;
            }
        }

        public void Observe(double value)
        {
            lock (_gate)
            {
                Used = true;
                _buckets ??= new long[Bounds.Length + 1];
                var index = Array.BinarySearch(Bounds, value);
                _buckets[index < 0 ? ~index : index]++;
                _sum += value;
                _count++;
            }
        }

        public void Write(StringBuilder text, string name, string labels, bool histogram)
        {
            lock (_gate)
            {
                if (!histogram)
                {
                    Line(text, name, labels, _sum);
                    return;
                }

                long below = 0;
                var comma = labels.Length == 0 ? "" : ",";
                for (var i = 0; i <= Bounds.Length; i++)
                {
                    below += _buckets?[i] ?? 0;
                    var bound = i == Bounds.Length ? "+Inf" : Bounds[i].ToString(CultureInfo.InvariantCulture);
                    Line(text, name + "_bucket", $"{labels}{comma}le=\"{bound}\"", below);
                }

                Line(text, name + "_sum", labels, _sum);
                Line(text, name + "_count", labels, _count);
            }
        }

        private static void Line(StringBuilder text, string name, string labels, double value)
        {
            text.Append(name);
            if (labels.Length > 0)
            {
                text.Append('{').Append(labels).Append('}');
            }

            text.Append(' ').Append(value.ToString("R", CultureInfo.InvariantCulture)).Append('\n');
        }
    }
}
